// Makes one file each of `ibmcloud` and `everleaf certificate`, which start in half the time that their modules take (docs/reference/benchmarks.md). bin/everleaf
// runs this behind a command that had to start from source, and takes the file as long as none of its sources has changed.
import { mkdirSync, rmdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

const folder = 'node_modules/.cache/everleaf-commands'
mkdirSync(folder, { recursive: true })
// Commands that start at once from source would all make it.
const making = join(folder, 'making')
const STALE_MS = 60_000
if ((statSync(making, { throwIfNoEntry: false })?.mtimeMs ?? 0) < Date.now() - STALE_MS) rmSync(making, { recursive: true, force: true })
try {
  mkdirSync(making)
} catch {
  process.exit(0) // another one makes it
}
process.once('exit', () => rmdirSync(making))
const { makeCommandFiles } = await import('./command-files.ts')
await makeCommandFiles(folder, { follow: true })
