import { ApiError } from '@everleaf/http'
import type { World } from '@everleaf/world'
import { CODES } from './errors.ts'

/** A first tag: ten digits, as IBM's are. Random, so that a name made again does not match tags of the one before. */
export function firstTag(world: Pick<World, 'randomBytes'>): string {
  return String(1_000_000_000 + (world.randomBytes(4).readUInt32BE() % 8_000_000_000))
}

export function nextTag(tag: string): string {
  return String(Number(tag) + 1)
}

/**
 * Checks If-Match, which is required: missing 400, another version 412 (the sheet leaves both open). `*` is any version; the tag may
 * stand bare, quoted or weak, because Terraform replays the ETag header as it came.
 */
export function requireMatch(header: string | undefined, tag: string): void {
  const wanted = (header ?? '').trim()
  if (wanted === '')
    throw new ApiError(400, CODES.invalidInput, 'The header If-Match is missing. Send the entity_tag that you read, or * for any version.', {
      target: { type: 'header', name: 'If-Match' },
    })
  if (wanted === '*' || wanted.replace(/^W\//, '').replace(/^"(.*)"$/, '$1') === tag) return
  throw new ApiError(412, CODES.tagMismatch, 'Somebody else changed this since you read it. Read it again, then send its new entity_tag in If-Match.', {
    target: { type: 'header', name: 'If-Match' },
  })
}
