import { enableCompileCache, flushCompileCache } from 'node:module'
import { dirname, join } from 'node:path'
import { createWorld, homeFolder, jsonLog } from '@everleaf/world'
import { readConfig, UP_HELP, WrongUse } from './config.ts'
import { keepCore } from './edge/core-process.ts'
import { prepareHome, WrongMachine } from './home.ts'

const WRONG_USE = 2
const WRONG_MACHINE = 3
/** What builds may see of this process's environment: the machine's own configuration of package registries. */
const BUILD_ENV =
  /^(PATH|HOME|npm_config_.*|pip_.*|go(proxy|sumdb|nosumdb|noproxy|private|path|modcache|cache)|maven_(opts|args)|java_home|java_tool_options|node_extra_ca_certs|ssl_cert_file|git_ssl_cainfo|https?_proxy|no_proxy)$/i

const log = jsonLog((line) => void process.stderr.write(`${line}\n`), { now: () => new Date(), level: process.env.EVERLEAF_LOG === 'debug' ? 'debug' : 'warn' })
const surroundings = {
  log,
  say: (line: string) => void process.stdout.write(`${line}\n`),
  stdin: process.stdin,
  exit: (code: number) => process.exit(code),
  onSignal: (signal: NodeJS.Signals, work: () => void) => void process.on(signal, work),
}

const program = process.argv[1] ?? ''
const isBuilt = program.endsWith('.mjs')
/** What has been compiled is kept; the command says where (bin/node26.js), before anything is loaded. */
const compileCache =
  process.env.NODE_COMPILE_CACHE ?? (isBuilt ? join(dirname(program), '.cache') : join(import.meta.dirname, '../../../node_modules/.cache/everleaf'))
/** A process that is killed writes nothing, so it is written soon after the start. */
const FLUSH_MS = 3_000

/** `everleaf up` is edge; edge starts this file again as `core`. */
async function main([role = 'up', ...rest]: readonly string[]): Promise<void> {
  if (role === 'core') return await core()
  if (role === 'rotate-root-key') return await rotateRoot()
  const { config, help } = readConfig(rest, process.env)
  if (help) return void process.stdout.write(UP_HELP)
  prepareHome(config.home)
  const world = createWorld({ log, offsetMs: config.clockOffsetMs })
  const command = [process.execPath, ...process.execArgv, program, 'core']
  // Before edge's own code is loaded: two processes load on two processors.
  const env = { ...process.env, NODE_COMPILE_CACHE: compileCache }
  const coreProcess = keepCore({ world, command, env, onGiveUp: (code) => process.exit(code) })
  enableCompileCache(compileCache)
  const { startEdge } = await import('./edge/edge.ts')
  const buildEnv = Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined && BUILD_ENV.test(entry[0])),
  )
  // A bundle lies beside the helper's; from source the engine knows its own.
  const helper = isBuilt ? join(dirname(program), 'spawner.mjs') : undefined
  await startEdge(config, { ...surroundings, core: coreProcess, buildEnv, helper }, world)
  world.after(FLUSH_MS, flushCompileCache)
}

async function rotateRoot(): Promise<void> {
  const { rotateRootKey } = await import('./root-key.ts')
  const home = homeFolder(process.env)
  await rotateRootKey(home, createWorld({ log }))
  surroundings.say(`A new root key is in ${home}/keys. The old one is root.key.old: keep it with backups made before, and delete it when those are gone.`)
}

async function core(): Promise<void> {
  const { readArguments, startCore } = await import('./core/core.ts')
  const told = await readArguments(process.stdin)
  if (told === undefined) return
  const { options, edgeGone } = told
  const world = createWorld({ log, offsetMs: options.config.clockOffsetMs })
  await startCore(options, { ...surroundings, edgeGone }, world)
  world.after(FLUSH_MS, flushCompileCache)
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const known = error instanceof WrongUse || error instanceof WrongMachine
  process.stderr.write(`everleaf: ${known ? error.message : error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(error instanceof WrongUse ? WRONG_USE : error instanceof WrongMachine ? WRONG_MACHINE : 1)
})
