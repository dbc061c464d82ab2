// The platform with crash points that work: what `apps/everleaf/src/main.ts` is, in a world that may die. `up` is edge, which starts `core`.
import { existsSync } from 'node:fs'
import { readConfig } from '@everleaf/platform/config'
import { readArguments, startCore } from '@everleaf/platform/core'
import { keepCore } from '@everleaf/platform/core-process'
import { startEdge } from '@everleaf/platform/edge'
import { jsonLog } from '@everleaf/world'
import { createWorld } from './world.ts'

const [role, ...rest] = process.argv.slice(2)
const world = createWorld({ log: jsonLog((line) => void process.stderr.write(`${line}\n`), { now: () => new Date(), level: 'warn' }) })
const around = {
  say: (line: string) => void process.stdout.write(`${line}\n`),
  stdin: process.stdin,
  exit: (code: number) => process.exit(code),
  onSignal: (signal: NodeJS.Signals, work: () => void) => void process.on(signal, work),
}
/** While this file is there core ends as soon as it starts: edge must do without it. */
const away = process.env.EVERLEAF_TEST_CORE_AWAY_FILE
if (role === 'core' && away !== undefined && existsSync(away)) process.exit(1)
if (role === 'core') {
  const told = await readArguments(process.stdin)
  if (told !== undefined) await startCore(told.options, { ...around, edgeGone: told.edgeGone }, world)
} else {
  const env = Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined))
  const { config } = readConfig(rest, env)
  const core = keepCore({ world, command: [process.execPath, process.argv[1] ?? '', 'core'], env: process.env, onGiveUp: around.exit })
  await startEdge(config, { ...around, core, buildEnv: env }, world)
}
