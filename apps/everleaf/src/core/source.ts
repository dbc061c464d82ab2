import type { EventNotifications } from '@everleaf/event-notifications'
import { ApiError } from '@everleaf/http'
import type { Neighbours } from '@everleaf/secrets-manager'

const SERVICE = 'secrets-manager'
const CRN_GUID = 7

/** How Secrets Manager reaches Event Notifications: as the service instance it is, asked for its authorization each time. */
export function sourceIn(
  events: EventNotifications,
  instanceOf: Neighbours['instanceOf'],
): Pick<Neighbours, 'publish' | 'registerSource' | 'unregisterSource'> {
  return {
    async publish({ instanceGuid, instanceCrn, eventNotificationsCrn, event }) {
      const instance = await instanceOf(instanceGuid)
      if (instance === undefined) return 'refused'
      try {
        await events.publishFromService({
          sourceService: SERVICE,
          sourceInstanceGuid: instanceGuid,
          sourceCrn: instanceCrn,
          sourceAccount: instance.account,
          instanceCrn: eventNotificationsCrn,
          event: { ...event },
        })
        return 'accepted'
      } catch (error) {
        // A refusal (no authorization, no topic, no such instance) does not become better by trying again.
        if (error instanceof ApiError && error.status < 500) return 'refused'
        throw error
      }
    },
    async registerSource(tx, { instanceCrn, eventNotificationsCrn, name, description }) {
      const guid = guidOf(eventNotificationsCrn)
      // Registering with an instance that is not here is stored and sends nothing: IBM's own tests register with a foreign one.
      if ((await instanceOf(guid)) === undefined) return
      await events.registerSource(tx, { instance: guid, sourceCrn: instanceCrn, name, description, type: SERVICE })
    },
    async unregisterSource(tx, { instanceCrn, eventNotificationsCrn }) {
      const guid = guidOf(eventNotificationsCrn)
      // An instance that is not here, or no longer, holds no source: the registration must still be removable.
      if ((await instanceOf(guid)) === undefined) return
      await events.unregisterSource(tx, { instance: guid, sourceCrn: instanceCrn })
    },
  }
}

function guidOf(crn: string): string {
  return crn.split(':')[CRN_GUID] ?? ''
}
