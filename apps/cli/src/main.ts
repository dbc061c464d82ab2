import { execFile } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { homeFolder } from '@everleaf/world'
import { processScreen } from './ibmcloud/screen.ts'
import { run } from './program.ts'
import { createTerminal } from './terminal.ts'

const here = import.meta.dirname ?? dirname(fileURLToPath(import.meta.url))
const isSource = existsSync(join(here, 'program.ts'))
const root = isSource ? join(here, '..', '..', '..') : here
const platformFile = isSource ? join(root, 'apps/everleaf/src/main.ts') : join(here, 'everleaf.mjs')

// Only the demo has something to put in order; any other command just ends.
const interrupted = new Promise<void>((resolve) => {
  if (process.argv[2] !== 'demo') return
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve())
})
const write = (text: string) => void process.stdout.write(text)
const terminal = createTerminal({ write, isTerminal: process.stdout.isTTY === true, nowMs: () => performance.now() })
const { status, problem } = await run(process.argv.slice(2), {
  home: homeFolder(process.env),
  write,
  terminal,
  env: process.env,
  platform: [process.execPath, platformFile],
  siteFolder: join(root, isSource ? 'samples/site' : 'site'),
  root: isSource ? root : join(root, '..'),
  syncFolder,
  interrupted,
  ask: processScreen({ quiet: false, write }).ask,
})
if (problem !== undefined) process.stderr.write(`everleaf: ${problem}\n`)
process.exitCode = status
// Keep-alive connections would hold the process for their own time.
setImmediate(() => process.exit())

/** Sync's bundle; when it runs from source it is made anew whenever a source file is newer. An install without development tools has no bundler. */
async function syncFolder(): Promise<string> {
  const folder = isSource ? join(root, 'apps/sync/dist') : join(here, 'sync')
  if (!isSource) return folder
  const bundle = join(folder, 'sync.js')
  const sources = ['apps/sync/src', 'packages/clients/src', 'packages/pki/src', 'packages/renewals/src', 'packages/world/src'].map((path) => join(root, path))
  const hasBundler = existsSync(join(root, 'node_modules/esbuild'))
  const isAssembled = existsSync(join(folder, 'sync'))
  if (existsSync(bundle) && newest(sources) <= statSync(bundle).mtimeMs && !(hasBundler && isAssembled)) return folder
  const maker = hasBundler ? 'build.ts' : 'assemble.ts'
  await promisify(execFile)(process.execPath, ['--no-warnings', join(root, 'apps/sync', maker)])
  return folder
}

function newest(folders: readonly string[]): number {
  return Math.max(
    ...folders.flatMap((folder) =>
      readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs),
    ),
  )
}
