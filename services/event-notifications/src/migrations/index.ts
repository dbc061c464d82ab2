import type { Migration } from '@everleaf/store'
import { eventNotifications } from './0001-event-notifications.ts'
import { schedules } from './0002-schedules.ts'

export const migrations: Readonly<Record<string, Migration>> = {
  'event-notifications/0001-event-notifications': eventNotifications,
  'event-notifications/0002-schedules': schedules,
}
