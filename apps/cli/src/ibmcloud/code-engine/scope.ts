import { ApiFailure, call, path, type Query } from '@everleaf/clients'
import type { Context } from '../context.ts'
import type { Flag, Given } from '../grammar.ts'
import { print } from '../output.ts'
import { Failed, WrongUse } from '../wrong-use.ts'

export type Item = Readonly<Record<string, unknown>>

export const V2 = '/codeengine/v2'
export const NAME: Flag = { name: 'name', short: 'n', value: 'NAME', about: 'its name', required: true }
export const FORCE: Flag = { name: 'force', short: 'f', about: 'without asking' }
export const IGNORE: Flag = { name: 'ignore-not-found', short: 'i', synonyms: ['inf'], about: 'where there is none, that is no failure' }
export const OUTPUT: Flag = {
  name: 'output',
  short: 'o',
  value: 'FORMAT',
  about: 'json, yaml, jsonpath=TEMPLATE, jsonpath-as-json=TEMPLATE',
  offered: ['json', 'yaml', 'jsonpath=', 'jsonpath-as-json='],
  check: (value) => (/^(json|yaml|jsonpath(-as-json)?=.+)$/s.test(value) ? undefined : `the formats here are ${OUTPUT.about}, not ${value}.`),
}
export const WAITING: readonly Flag[] = [
  { name: 'wait', short: 'w', about: 'until it is done' },
  { name: 'no-wait', synonyms: ['nw'], about: 'without waiting for it' },
  { name: 'wait-timeout', synonyms: ['wto'], value: 'SECONDS', about: 'no longer than this; 600 otherwise' },
]

/** Of `delete`: what is deleted is gone once the platform has answered, so that both are the same. */
export const GONE_AT_ONCE: readonly Flag[] = WAITING.map((flag) => ({ ...flag, about: `${flag.about}; it is gone at once` }))

/** The id of the project that commands work on: the selected one, else the platform's own. */
export function projectOf({ state, found }: Context): string {
  return state().codeEngineProject ?? found.login.project
}

/** A path below the current project; names in `rest` are encoded already. */
export function inProject(context: Context, rest: string): string {
  return path`/projects/${projectOf(context)}` + rest
}

/** Every page of a list. */
export async function everyItem(context: Context, at: string, { key, query = {} }: { key: string; query?: Query }): Promise<Item[]> {
  const found: Item[] = []
  for (let start: string | undefined; ;) {
    const page = await context.api(V2).get<Item & { next?: { start?: string } }>(at, { ...query, limit: 100, start })
    found.push(...((page[key] ?? []) as Item[]))
    start = page.next?.start
    if (start === undefined || start === '') return found
  }
}

/** A change of what lies at `at`. */
export type Change = { readonly method: 'POST' | 'PATCH' | 'PUT'; readonly at: string; readonly json: Item; readonly ifMatch?: string }

/** Writes, and says which of the options that were typed have no effect in Everleaf (the server names the members in a header). */
export async function send(context: Context, given: Given, change: Change): Promise<Item> {
  const { body, headers } = await write(context, change)
  const ignored = (headers['everleaf-ignored'] ?? '').split(', ').flatMap((member) => OPTIONS_OF[member] ?? [])
  const typed = [...new Set(ignored)].filter((name) => given.has(name)).map((name) => `--${name}`)
  if (typed.length > 0) context.screen.remark(`Kept, but without effect here: ${typed.join(', ')} (docs/reference/ignored.md says why).`)
  return body
}

/** Has a change checked that is not made. Throws ApiFailure where it would be refused. */
export async function check(context: Context, change: Change): Promise<void> {
  await write(context, change, { everleaf_check_only: true })
}

async function write({ world, base, auth }: Context, { method, at, json, ifMatch }: Change, query: Query = {}) {
  return await call<Item>({ world, url: base + V2, auth }, { method, path: at, query, json, ...(method === 'POST' ? {} : { ifMatch: ifMatch ?? '*' }) })
}

/** By which options the members are set that have no effect here. */
const OPTIONS_OF: Readonly<Record<string, readonly string[]>> = {
  image_secret: ['registry-secret'],
  output_secret: ['registry-secret'],
  run_as_user: ['user'],
  run_service_account: ['service-account'],
  scale_cpu_limit: ['cpu'],
  scale_ephemeral_storage_limit: ['ephemeral-storage'],
  strategy_size: ['size', 'build-size'],
  strategy_spec_file: ['dockerfile', 'build-dockerfile'],
}

/** Prints `value` as `--output` says, false without one. Throws WrongUse for a jsonpath that is not understood. */
export async function printed(context: Context, given: Given, value: unknown): Promise<boolean> {
  const output = given.text('output')
  const template = /^(jsonpath(?:-as-json)?)=(.*)$/s.exec(output ?? '')
  if (template === null) return print(context.screen, output, value)
  const { jsonpath, jsonpathValues } = await import('./jsonpath.ts')
  const text = template[2] ?? ''
  context.screen.result(template[1] === 'jsonpath' ? jsonpath(text, value) : JSON.stringify(jsonpathValues(text, value), null, 2))
  return true
}

/** `note` only where no `--output` was asked for: scripts read that output as a whole. */
export function say(context: Context, given: Given, text: string): void {
  if (!given.has('output')) context.screen.note(text)
}

/** Whether to wait, and how long in milliseconds. Throws WrongUse. */
export function waiting(given: Given, normally: boolean): { wait: boolean; limitMs: number } {
  if (given.is('wait') && given.is('no-wait')) throw new WrongUse('--wait and --no-wait contradict each other.')
  const seconds = given.whole('wait-timeout') ?? 600
  if (seconds < 1) throw new WrongUse('--wait-timeout is a number of seconds, 1 or more.')
  return { wait: given.is('no-wait') ? false : (given.maybe('wait') ?? normally), limitMs: seconds * 1_000 }
}

const TELL_MS = 10_000

/** Whether a call had no answer, or one that says to come back: it was tried several times then. */
export function isLost(error: unknown): error is ApiFailure {
  return error instanceof ApiFailure && (error.status === 0 || error.status === 503)
}

export function lost(what: string, next: string, { message }: ApiFailure): Failed {
  return new Failed(
    `The platform does not answer any more (${message}).\n${what} may go on without this command.\nSee how the platform is with: everleaf status\nThen see how it went with: ${next}`,
  )
}

/** Asks until it is done. Throws Failed, with what to type next, after the limit, and where the platform does not answer any more. */
export async function waitFor(
  { world }: Pick<Context, 'world'>,
  options: {
    what: string
    limitMs: number
    next: string
    ask: () => Promise<Item>
    isDone: (item: Item) => boolean
    /** Says how it goes: at once when its status changes, and now and then. */
    tell: (text: string) => void
  },
): Promise<Item> {
  const beganAt = world.monotonicMs()
  const endsAt = beganAt + options.limitMs
  let told = { at: beganAt, status: '' }
  for (;;) {
    const item = await options.ask().catch((error: unknown) => {
      throw isLost(error) ? lost(options.what, options.next, error) : error
    })
    if (options.isDone(item)) return item
    const [status, now] = [saying(item), world.monotonicMs()]
    if (status !== told.status || now - told.at >= TELL_MS) {
      options.tell(`  ${status}${now - beganAt >= 1_000 ? ` after ${Math.round((now - beganAt) / 1_000)} s` : ''}`)
      told = { at: now, status }
    }
    if (world.monotonicMs() > endsAt)
      throw new Failed(
        `${options.what} is not done after ${Math.round(options.limitMs / 1_000)} s: it is ${status}, and goes on.\nSee how it is with: ${options.next}`,
      )
    await world.sleep(100)
  }
}

/** How something is, with what it waits for or why it failed: `deploying (Waiting for secret nope.)`. */
export function saying({ status, status_details }: Item): string {
  const { message } = (status_details ?? {}) as { message?: string }
  return `${String(status ?? '')}${message === undefined || message === '' ? '' : ` (${message})`}`
}
