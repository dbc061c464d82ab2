import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { closeSync, existsSync, fdatasyncSync, ftruncateSync, openSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import type { Difference } from '@everleaf/link'
import { syncFolder, writeAll } from '@everleaf/world'

/** Differences since one snapshot, sealed, in the order in which they came. */
export type Journal = {
  /** Bytes that it holds. */
  readonly size: () => number
  /** Written before it returns; `durable`: also on disk. Throws when the disk refuses: what it holds is unknown then, until `begin`. */
  readonly append: (difference: Difference, options: { durable: boolean }) => void
  /** Empties it for the next snapshot. */
  readonly begin: (snapshot: string) => void
  readonly close: () => void
}

const NONCE = 12
const TAG = 16
const LENGTH = 4

/**
 * Opens the journal that belongs to the snapshot named `snapshot`, gives what it holds, and goes on behind that. Each record is bound to
 * its snapshot and its place: records of another snapshot, and whatever follows a torn or damaged one, are dropped.
 */
export function openJournal(options: { file: string; rootKey: Uint8Array; snapshot: string }): { journal: Journal; found: Difference[] } {
  const key = Buffer.from(hkdfSync('sha256', options.rootKey, '', 'everleaf edge journal', 32))
  const isNew = !existsSync(options.file)
  const handle = openSync(options.file, 'a+', 0o600)
  if (isNew) syncFolder(dirname(options.file))
  const { found, size: whole } = read(readFileSync(handle), key, options.snapshot)
  ftruncateSync(handle, whole)
  let { snapshot } = options
  let size = whole
  let count = found.length
  return {
    found,
    journal: {
      size: () => size,
      append(difference, { durable }) {
        const record = seal(serialize(difference), key, place(snapshot, count))
        writeAll(handle, record)
        if (durable) fdatasyncSync(handle)
        size += record.length
        count++
      },
      begin(next) {
        ftruncateSync(handle, 0)
        snapshot = next
        size = count = 0
      },
      close: () => closeSync(handle),
    },
  }
}

function read(bytes: Buffer, key: Buffer, snapshot: string): { found: Difference[]; size: number } {
  const found: Difference[] = []
  let at = 0
  while (at + LENGTH <= bytes.length) {
    const length = bytes.readUInt32BE(at)
    const record = bytes.subarray(at + LENGTH, at + LENGTH + length)
    if (record.length < length || length < NONCE + TAG) break
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, record.subarray(0, NONCE))
      decipher.setAAD(place(snapshot, found.length))
      decipher.setAuthTag(record.subarray(NONCE, NONCE + TAG))
      found.push(deserialize(Buffer.concat([decipher.update(record.subarray(NONCE + TAG)), decipher.final()])) as Difference)
    } catch {
      break
    }
    at += LENGTH + length
  }
  return { found, size: at }
}

function seal(plain: Buffer, key: Buffer, aad: Buffer): Buffer {
  const nonce = randomBytes(NONCE)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(aad)
  const body = Buffer.concat([cipher.update(plain), cipher.final()])
  const record = Buffer.concat([Buffer.alloc(LENGTH), nonce, cipher.getAuthTag(), body])
  record.writeUInt32BE(record.length - LENGTH)
  return record
}

function place(snapshot: string, index: number): Buffer {
  return Buffer.from(`${snapshot} ${index}`)
}
