import { Cron } from 'croner'

/** A rule's `event_schedule_filter`, as it was given. Times are RFC 3339; without them it starts at once and never ends. */
export type Schedule = { readonly starts_at?: string; readonly ends_at?: string; readonly expression: string }

const MONTH = 3
/** croner lets an 8 pass. */
const BAD_WEEKDAY = /(?<![/#\w])(0|[89]|\d\d+)/

/**
 * Why a schedule cannot be used; undefined where it can. Five fields as IBM documents them (en-periodic-timer): months count from 0, days
 * of the week from 1, which is Sunday; `?`, `L`, `W`, `#` and `1/5` are known. UTC.
 */
export function scheduleProblem({ starts_at, ends_at, expression }: Schedule): string | undefined {
  for (const [name, text] of [
    ['starts_at', starts_at],
    ['ends_at', ends_at],
  ] as const)
    if (text !== undefined && Number.isNaN(Date.parse(text))) return `${name} must be a date and time of RFC 3339`
  const fields = expression.trim().split(/\s+/)
  if (fields.length !== 5) return 'expression must have five fields: minute, hour, day of month, month, day of week'
  return BAD_WEEKDAY.test(fields.at(-1) ?? '') || !isCron(expression) ? BAD_FIELD : undefined
}

const BAD_FIELD =
  'expression has a field that is not in the form of the periodic timer (minute 0-59, hour 0-23, day 1-31, month 0-11 or JAN-DEC, weekday 1-7 or SUN-SAT)'

function isCron(expression: string): boolean {
  try {
    return cron(expression) !== undefined
  } catch {
    return false
  }
}

/** The first time after `after` at which a usable schedule fires; undefined when it does not any more. */
export function nextTick({ starts_at, ends_at, expression }: Schedule, after: Date): Date | undefined {
  const begin = starts_at === undefined ? undefined : new Date(starts_at)
  // The start itself may be a time to fire at.
  const from = begin !== undefined && begin > after ? new Date(begin.getTime() - 1) : after
  const next = cron(expression).nextRun(from)
  return next === null || (ends_at !== undefined && next > new Date(ends_at)) ? undefined : next
}

function cron(expression: string): Cron {
  const fields = expression.trim().split(/\s+/)
  const pattern = fields.map((field, at) => {
    const plain = field.replaceAll('?', '*')
    return at === MONTH ? plain.replace(/(?<![/\w])\d+/g, (month) => String(Number(month) + 1)) : plain
  })
  return new Cron(pattern.join(' '), { paused: true, timezone: 'UTC', mode: '5-part', alternativeWeekdays: true, sloppyRanges: true })
}
