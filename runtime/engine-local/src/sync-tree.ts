import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { syncPath } from '@everleaf/world'

/** Beyond so many files one call for the whole file system is quicker than one for each. */
const SINGLE_FILES = 100

/** Forces a folder and all below it to disk, so that a rename of it stands for its content after a power cut too. Links are not followed. */
export async function syncTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  if (entries.length > SINGLE_FILES && (await syncFileSystem(folder))) return
  for (const entry of entries) if (entry.isFile() || entry.isDirectory()) await syncPath(join(entry.parentPath, entry.name))
  await syncPath(folder)
}

/** False where this machine's `sync` knows no single file system: macOS. */
async function syncFileSystem(folder: string): Promise<boolean> {
  return await promisify(execFile)('sync', ['-f', folder]).then(
    () => true,
    () => false,
  )
}
