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

/** Writes, and says which members have no effect in Everleaf (the server names them in a header). */
export async function send(context: Context, method: 'POST' | 'PATCH' | 'PUT', sent: { at: string; json: Item; ifMatch?: string }): Promise<Item> {
  const { world, base, auth, screen } = context
  const { at, json, ifMatch } = sent
  const { body, headers } = await call<Item>(
    { world, url: base + V2, auth },
    { method, path: at, json, ...(method === 'POST' ? {} : { ifMatch: ifMatch ?? '*' }) },
  )
  const ignored = headers['everleaf-ignored']
  if (ignored !== undefined) screen.warn(`Kept, but without effect here: ${ignored} (docs/reference says why).`)
  return body
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
    const [status, now] = [String(item.status ?? ''), world.monotonicMs()]
    if (status !== told.status || now - told.at >= TELL_MS) {
      options.tell(`  ${status}${now - beganAt >= 1_000 ? ` after ${Math.round((now - beganAt) / 1_000)} s` : ''}`)
      told = { at: now, status }
    }
    if (world.monotonicMs() > endsAt)
      throw new Failed(`${options.what} is not done after ${Math.round(options.limitMs / 1_000)} s: it goes on.\nSee how it is with: ${options.next}`)
    await world.sleep(100)
  }
}
