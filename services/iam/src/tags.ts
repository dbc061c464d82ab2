import { ApiError } from '@everleaf/http'
import type { World } from '@everleaf/world'

/** The entity tag of a new object, and of its next state: IBM's form, a number and 32 hex digits. */
export function nextTag(world: Pick<World, 'randomBytes'>, before?: string): string {
  const count = before === undefined ? 0 : Number(before.split('-')[0])
  return `${count + 1}-${world.randomBytes(16).toString('hex')}`
}

/** Refuses a change that was made on another state than the one that is there: 400 without If-Match, 409 with a stale one; `*` is any. */
export function checkTag(ifMatch: string | undefined, current: string, codes: { missing: string; stale: string }): void {
  if (ifMatch === undefined || ifMatch === '') throw new ApiError(400, codes.missing, 'Send the header If-Match with the entity tag that you read, or *.')
  if (ifMatch !== '*' && ifMatch.replace(/^(W\/)?"(.*)"$/, '$2') !== current)
    throw new ApiError(409, codes.stale, 'The object was changed since you read it. Read it again and repeat the change on its new entity tag.')
}
