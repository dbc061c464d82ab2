import { createCipheriv, createDecipheriv } from 'node:crypto'
import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { World } from '@everleaf/world'

/** The bodies of objects: files named by ids of ours, never by keys, each sealed in frames with a key of its own. */
export type Blobs = {
  /** Writes a stream whole or not at all; on disk when it resolves. */
  write(body: AsyncIterable<Buffer>, key: Buffer): Promise<string>
  /** Bytes `from` to `to` (that one included) of a body of `size` bytes. Throws at the first frame that was altered. */
  read(blob: string, key: Buffer, range: { from: number; to: number; size: number }): AsyncIterable<Buffer>
  remove(blob: string): Promise<void>
  /** Removes files that no row names: what was written before a kill. */
  sweep(isKnown: (blob: string) => boolean): Promise<void>
}

/** Plain bytes of a frame. Each is sealed by itself, so that a range is read without what is before it. */
const FRAME = 256 * 1024
const TAG = 16

export function openBlobs(options: { folder: string; world: Pick<World, 'id' | 'crashPoint'> }): Blobs {
  const { folder, world } = options
  const pathOf = (blob: string) => join(folder, blob)
  return {
    async write(body, key) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const blob = world.id()
      const part = `${pathOf(blob)}.part`
      try {
        {
          await using file = await open(part, 'wx', 0o600)
          let count = 0
          let held: Buffer[] = []
          let size = 0
          const flush = async (frame: Buffer) => void (await file.writeFile(sealed(frame, key, count++)))
          for await (const chunk of body) {
            held.push(chunk)
            size += chunk.length
            if (size < FRAME) continue
            const all = Buffer.concat(held)
            let at = 0
            for (; at + FRAME <= all.length; at += FRAME) await flush(all.subarray(at, at + FRAME))
            held = [all.subarray(at)]
            size = all.length - at
          }
          if (size > 0) await flush(Buffer.concat(held))
          await file.sync()
        }
        world.crashPoint('cos.body-written')
        await rename(part, pathOf(blob))
        await using handle = await open(folder, 'r')
        await handle.sync()
        return blob
      } catch (error) {
        await unlink(part).catch(() => {})
        throw error
      }
    },
    async *read(blob, key, { from, to, size }) {
      await using file = await open(pathOf(blob), 'r')
      const buffer = Buffer.allocUnsafe(FRAME + TAG)
      for (let frame = Math.floor(from / FRAME); frame * FRAME <= to; frame++) {
        const plain = Math.min(FRAME, size - frame * FRAME)
        const { bytesRead } = await file.read(buffer, 0, plain + TAG, frame * (FRAME + TAG))
        if (bytesRead !== plain + TAG) throw new Error(`the body ${blob} is cut off`)
        const opened = unsealed(buffer.subarray(0, bytesRead), key, frame)
        yield opened.subarray(Math.max(0, from - frame * FRAME), Math.min(plain, to + 1 - frame * FRAME))
      }
    },
    remove: (blob) => unlink(pathOf(blob)).catch(() => {}),
    async sweep(isKnown) {
      const names = await readdir(folder).catch(() => [])
      for (const name of names) if (!isKnown(name)) await unlink(pathOf(name)).catch(() => {})
    },
  }
}

// A key seals one body, so a frame's number is a nonce that never comes twice.
function nonce(frame: number): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt32BE(frame, 8)
  return bytes
}

function sealed(plain: Buffer, key: Buffer, frame: number): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce(frame))
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

function unsealed(bytes: Buffer, key: Buffer, frame: number): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce(frame))
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG))
  return Buffer.concat([decipher.update(bytes.subarray(0, bytes.length - TAG)), decipher.final()])
}
