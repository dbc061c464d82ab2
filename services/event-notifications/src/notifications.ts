import { accept } from './accept.ts'
import { readEvent } from './event.ts'
import { operation } from './service.ts'

/** One request carries one event of at most 64 KB. */
const MAX_BYTES = 64 * 1024

export const send = operation({
  takes: 'bytes',
  status: 202,
  maxBytes: MAX_BYTES,
  async run({ tx, deps, headers }, { params, body }) {
    const event = readEvent(body as unknown as Buffer, headers)
    const { notificationId } = await accept(tx, deps, { instance: params.instance ?? '', event, publisher: { kind: 'caller' } })
    return { notification_id: notificationId }
  },
})
