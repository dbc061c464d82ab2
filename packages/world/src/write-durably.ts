import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** Writes a file whole or not at all: temporary name, fsync, rename, fsync of the folder. */
export function writeDurably(file: string, content: string | Uint8Array, mode: number): void {
  const temporary = `${file}.${randomBytes(4).toString('hex')}.tmp`
  const handle = openSync(temporary, 'wx', mode)
  try {
    writeSync(handle, typeof content === 'string' ? Buffer.from(content) : content)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  renameSync(temporary, file)
  const folder = openSync(join(file, '..'), 'r')
  fsyncSync(folder)
  closeSync(folder)
}
