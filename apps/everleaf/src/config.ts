import { parseArgs } from 'node:util'
import { clockOffsetMs, homeFolder } from '@everleaf/world'
import { type Cidr, parseCidr } from '@everleaf/world/addresses'

/** Everything that can be set, with its default, in one place. Durations are milliseconds. */
export type Config = {
  readonly home: string
  readonly listen: string
  readonly ports: { readonly public: number; readonly private: number; readonly front: number; readonly api: number }
  readonly domain: string
  readonly region: string
  readonly settings: Settings
  readonly clockOffsetMs: number
  /** End when standard input ends: whoever started this platform wants it gone with itself. */
  readonly withParent: boolean
}

export type Settings = {
  /** How long an app must be idle before it scales to zero (Knative's stable window). */
  readonly stableWindowMs: number
  /** How long events are gathered before they are sent: 0 at once, 60 000 as IBM does. */
  readonly eventsWindowMs: number
  readonly deliveryProfile: 'ibm' | 'ibm-60s' | 'durable'
  /** `off`: instances are plain processes, as on machines whose kernel allows no namespaces. */
  readonly namespaces: 'auto' | 'off'
  /** Instances of jobs at once; undefined: what fits the machine. */
  readonly jobParallelism: number | undefined
  /** Blocks beside the public internet where builds may fetch repositories. */
  readonly gitAllow: readonly Cidr[]
}

/** Wrong words on the command line or in the environment: the message says what to type. */
export class WrongUse extends Error {}

const PORTS = { public: 8443, private: 8444, front: 8080, api: 4580 } as const
const OPTIONS = {
  port: { type: 'string' },
  'private-port': { type: 'string' },
  'http-port': { type: 'string' },
  'api-port': { type: 'string' },
  listen: { type: 'string' },
  domain: { type: 'string' },
  region: { type: 'string' },
  set: { type: 'string', multiple: true },
  'with-parent': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

export const UP_HELP = `Usage: everleaf up [options]

Starts the platform and stays until it is stopped (Ctrl-C).

  --port N          public TLS: API names, public apps, custom domains   (${PORTS.public}, EVERLEAF_PORT)
  --private-port N  private TLS: private names, private apps             (${PORTS.private}, EVERLEAF_PRIVATE_PORT)
  --http-port N     plain HTTP: redirects to HTTPS, nothing else         (${PORTS.front}, EVERLEAF_HTTP_PORT)
  --api-port N      every API by path, this machine only                 (${PORTS.api}, EVERLEAF_API_PORT)
                    0 takes any free port, that of the last run if it is free
  --listen ADDRESS  address of the TLS and HTTP listeners, besides
                    127.0.0.1, where TLS is served too                   (127.0.0.1, EVERLEAF_LISTEN)
  --domain NAME     the platform's own domain                            (everleaf.localhost, EVERLEAF_DOMAIN)
  --region NAME     the region in names and CRNs                         (eu-de, EVERLEAF_REGION)
  --set NAME=VALUE  scale.stable_window=60s · events.window=0s · events.profile=durable|ibm|ibm-60s · engine.namespaces=auto|off · jobs.parallelism=N
                    git.allow=10.0.0.0/8,… addresses that are not public from which builds may fetch repositories
  EVERLEAF_HOME     where everything is kept                             (~/.local/share/everleaf)
  EVERLEAF_CLOCK_OFFSET  milliseconds by which its clock is ahead of the machine's, to rehearse what comes   (0)
`

/** Reads flags and environment; flags win. Throws WrongUse. `help` is true when only the help was asked for. */
export function readConfig(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): { config: Config; help: boolean } {
  const { values } = parse(argv)
  const text = (flag: 'listen' | 'domain' | 'region', name: string, fallback: string) => values[flag] ?? env[name] ?? fallback
  const config: Config = {
    home: homeFolder(env),
    listen: text('listen', 'EVERLEAF_LISTEN', '127.0.0.1'),
    ports: {
      public: port(values.port ?? env.EVERLEAF_PORT, PORTS.public, '--port'),
      private: port(values['private-port'] ?? env.EVERLEAF_PRIVATE_PORT, PORTS.private, '--private-port'),
      front: port(values['http-port'] ?? env.EVERLEAF_HTTP_PORT, PORTS.front, '--http-port'),
      api: port(values['api-port'] ?? env.EVERLEAF_API_PORT, PORTS.api, '--api-port'),
    },
    domain: text('domain', 'EVERLEAF_DOMAIN', 'everleaf.localhost').toLowerCase(),
    region: text('region', 'EVERLEAF_REGION', 'eu-de'),
    settings: readSettings([...(env.EVERLEAF_SET ?? '').split(/\s+/).filter((part) => part !== ''), ...(values.set ?? [])]),
    clockOffsetMs: clockOffsetMs(env, WrongUse),
    withParent: values['with-parent'] ?? false,
  }
  return { config, help: values.help ?? false }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: false })
  } catch (cause) {
    throw new WrongUse(`${cause instanceof Error ? cause.message : String(cause)}\nSee: everleaf up --help`, { cause })
  }
}

function port(text: string | undefined, fallback: number, flag: string): number {
  if (text === undefined || text === '') return fallback
  const value = Number(text)
  if (!/^\d+$/.test(text) || value > 65_535) throw new WrongUse(`${flag} takes a port from 0 to 65535, not "${text}".`)
  return value
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 }
const DEFAULTS: Settings = {
  stableWindowMs: 60_000,
  eventsWindowMs: 0,
  deliveryProfile: 'durable',
  namespaces: 'auto',
  jobParallelism: undefined,
  gitAllow: [],
}

function readSettings(pairs: readonly string[]): Settings {
  return Object.assign({}, DEFAULTS, ...pairs.map(readSetting))
}

function readSetting(pair: string): Partial<Settings> {
  const [name = '', value = ''] = pair.split('=')
  if (name === 'scale.stable_window') return { stableWindowMs: duration(name, value) }
  if (name === 'events.window') return { eventsWindowMs: duration(name, value) }
  if (name === 'events.profile' && (value === 'ibm' || value === 'ibm-60s' || value === 'durable')) return { deliveryProfile: value }
  if (name === 'engine.namespaces' && (value === 'auto' || value === 'off')) return { namespaces: value }
  if (name === 'git.allow') return { gitAllow: value.split(',').map(block) }
  if (name === 'jobs.parallelism' && /^[1-9]\d{0,2}$/.test(value)) return { jobParallelism: Number(value) }
  throw new WrongUse(`--set ${pair}: there is no such setting or value. See: everleaf up --help`)
}

function block(text: string): Cidr {
  try {
    return parseCidr(text)
  } catch (cause) {
    throw new WrongUse(`--set git.allow takes address blocks such as 10.0.0.0/8,fd00::/8, not "${text}".`, { cause })
  }
}

function duration(name: string, text: string): number {
  const match = /^(\d+)(ms|s|m)?$/.exec(text)
  if (match === null) throw new WrongUse(`--set ${name} takes a duration such as 6s, not "${text}".`)
  return Number(match[1]) * (UNIT_MS[match[2] ?? 's'] ?? 1_000)
}
