import { execFile } from 'node:child_process'
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** Beyond so many files one call for the whole file system is quicker than one for each. */
const SINGLE_FILES = 100

/** Forces a folder and all below it to disk, so that a rename of it stands for its content after a power cut too. Links are not followed. */
export async function syncTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  if (entries.length > SINGLE_FILES && (await syncFileSystem(folder))) return
  for (const entry of entries) if (entry.isFile() || entry.isDirectory()) await syncOne(join(entry.parentPath, entry.name))
  await syncOne(folder)
}

/** A folder's own entries, or a file's content. */
export async function syncOne(path: string): Promise<void> {
  await using handle = await open(path, 'r')
  await handle.sync()
}

/** False where this machine's `sync` knows no single file system: macOS. */
async function syncFileSystem(folder: string): Promise<boolean> {
  return await promisify(execFile)('sync', ['-f', folder]).then(
    () => true,
    () => false,
  )
}
