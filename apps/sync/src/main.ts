import { computeResourceAuthenticator } from '@everleaf/clients'
import { createNodeHttp, createWorld, jsonLog } from '@everleaf/world'
import { readConfig } from './config.ts'
import { answerStatus } from './outcome.ts'
import { createSyncServer } from './server.ts'
import { createSync } from './sync.ts'

main()

/** `sync` serves deliveries; `sync sweep [--force] [renewal]` repairs once and ends: 0 all is well, 1 something is not, 2 wrong settings. */
function main(): void {
  const [command, ...rest] = process.argv.slice(2)
  if (command !== undefined && command !== 'sweep') return stop(`there is no command ${command}: start without one, or with sweep`)
  const read = readConfig(process.env, { needsHeader: command === undefined })
  if ('problems' in read) return stop(...read.problems)
  const { config, headerValue } = read
  const log = jsonLog((line) => process.stdout.write(`${line}\n`), { now: () => new Date(Date.now() + config.clockOffsetMs) })
  const world = createWorld({ http: createNodeHttp(), log, offsetMs: config.clockOffsetMs })
  const auth = computeResourceAuthenticator({
    world,
    iamUrl: config.iamUrl,
    profile: config.profile,
    ...(config.tokenFile === undefined ? {} : { tokenFile: config.tokenFile }),
  })
  const sync = createSync({ world, auth, config })
  if (command === 'sweep') return sweepOnce(sync, rest)

  const server = createSyncServer({ ...sync.deps, sweep: () => sync.sweep(), headerName: config.headerName, headerValue })
  server.listen(config.port, () => {
    const address = server.address()
    log.info(
      { port: typeof address === 'object' && address !== null ? address.port : config.port, app: config.app, ms: Math.round(performance.now()) },
      'sync is listening',
    )
    // The first delivery needs a token and the renewals: they are on their way before it is. A failure shows when they are needed.
    sync.deps.list.load().catch(() => {})
  })
  const end = () => {
    log.info({}, 'stopping: nothing new is taken, what runs is finished')
    server.close(() => void sync.deps.flights.settled().then(() => process.exit(0)))
    server.closeIdleConnections()
  }
  process.once('SIGTERM', end)
  process.once('SIGINT', end)
}

function sweepOnce(sync: ReturnType<typeof createSync>, args: readonly string[]): void {
  const only = args.find((arg) => !arg.startsWith('--'))
  sync.sweep({ force: args.includes('--force'), ...(only === undefined ? {} : { only }) }).then(
    (outcomes) => process.exit(answerStatus(outcomes) < 300 ? 0 : 1),
    (cause) => stop(cause instanceof Error ? cause.message : 'the sweep failed'),
  )
}

function stop(...problems: readonly string[]): void {
  for (const problem of problems) process.stderr.write(`${JSON.stringify({ level: 'error', message: problem })}\n`)
  process.exitCode = 2
}
