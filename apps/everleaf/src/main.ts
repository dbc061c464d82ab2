import { dirname, join } from 'node:path'
import { createWorld, jsonLog } from '@everleaf/world'
import { readConfig, UP_HELP, WrongUse } from './config.ts'
import type { CoreArguments } from './core/core.ts'
import { WrongMachine } from './home.ts'

const WRONG_USE = 2
const WRONG_MACHINE = 3
/** What builds may see of this process's environment: the machine's own configuration of package registries. */
const BUILD_ENV = /^(PATH|HOME|npm_config_.*|NODE_EXTRA_CA_CERTS|https?_proxy|no_proxy)$/i

const log = jsonLog((line) => void process.stderr.write(`${line}\n`), { now: () => new Date(), level: process.env.EVERLEAF_LOG === 'debug' ? 'debug' : 'warn' })
const surroundings = {
  log,
  say: (line: string) => void process.stdout.write(`${line}\n`),
  stdin: process.stdin,
  exit: (code: number) => process.exit(code),
  onSignal: (signal: NodeJS.Signals, work: () => void) => void process.on(signal, work),
}

/** `everleaf up` is edge; edge starts this file again as `core` with its configuration. */
async function main([role = 'up', ...rest]: readonly string[]): Promise<void> {
  if (role === 'core') {
    const { startCore } = await import('./core/core.ts')
    const options = JSON.parse(rest[0] ?? '{}') as CoreArguments
    return await startCore(options, surroundings, createWorld({ log, offsetMs: options.config.clockOffsetMs }))
  }
  const { config, help } = readConfig(rest, process.env)
  if (help) return void process.stdout.write(UP_HELP)
  const { startEdge } = await import('./edge/edge.ts')
  const buildEnv = Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined && BUILD_ENV.test(entry[0])),
  )
  const program = process.argv[1] ?? ''
  const command = [process.execPath, ...process.execArgv, program]
  // A bundle lies beside the helper's; from source the engine knows its own.
  const helper = program.endsWith('.mjs') ? join(dirname(program), 'spawner.mjs') : undefined
  await startEdge(config, { ...surroundings, command, buildEnv, helper }, createWorld({ log, offsetMs: config.clockOffsetMs }))
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const known = error instanceof WrongUse || error instanceof WrongMachine
  process.stderr.write(`everleaf: ${known ? error.message : error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(error instanceof WrongUse ? WRONG_USE : error instanceof WrongMachine ? WRONG_MACHINE : 1)
})
