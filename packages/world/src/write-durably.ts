import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** Writes a file whole or not at all: temporary name, fsync, rename, fsync of the folder. Throws when the disk refuses; the old file stays then. */
export function writeDurably(file: string, content: string | Uint8Array, mode: number): void {
  // Not by import, see world.ts.
  const { randomBytes } = process.getBuiltinModule('node:crypto')
  const temporary = `${file}.${randomBytes(4).toString('hex')}.tmp`
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  const handle = openSync(temporary, 'wx', mode)
  try {
    writeAll(handle, bytes)
    fsyncSync(handle)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  } finally {
    closeSync(handle)
  }
  renameSync(temporary, file)
  syncFolder(dirname(file))
}

/** Writes all of the bytes: one write may take a part of them only. */
export function writeAll(handle: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at)
}

/** Puts a folder's own entries on disk: a new file is not there after a power cut without it. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** Puts a folder's own entries, or a file's content, on disk, without holding up the loop. */
export async function syncPath(path: string): Promise<void> {
  // Loaded here: commands do without it.
  await using handle = await process.getBuiltinModule('node:fs/promises').open(path, 'r')
  await handle.sync()
}
