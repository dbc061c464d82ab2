import { createEventNotifications, type EventNotifications, path } from '@everleaf/clients'
import { openApi, type Api } from '../api.ts'
import type { Context } from '../context.ts'
import type { Flag, Given } from '../grammar.ts'
import { pathOfService } from '../hosts.ts'

export const INSTANCE: Flag = {
  name: 'instance-id',
  value: 'GUID',
  about: "the instance; otherwise the one of `en init`, else the platform's own",
}

/** The GUID of the instance that a command is for. */
export function instanceOf({ state, found }: Context, given: Given): string {
  return given.text('instance-id') ?? state().eventNotifications ?? found.login.eventNotifications
}

/** The client that knows how destinations are sent. */
export function clientOf(context: Context, given: Given): EventNotifications {
  const { world, auth } = context
  return createEventNotifications({ world, url: urlOf(context), auth, instance: instanceOf(context, given) })
}

/** The API below the instance: `/topics`. */
export function apiOf(context: Context, given: Given): Api {
  const { world, auth } = context
  return openApi({ world, url: urlOf(context) + path`/v1/instances/${instanceOf(context, given)}`, auth })
}

function urlOf(context: Context): string {
  const url = context.env.IBMCLOUD_EN_ENDPOINT
  const place = url === undefined || url === '' ? '/event-notifications' : pathOfService(context, { variable: 'IBMCLOUD_EN_ENDPOINT', url })
  return context.base + place
}
