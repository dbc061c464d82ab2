const DAY_MS = 86_400_000

/**
 * How long a public certificate may live, by the day on which it is issued: ballot SC-081v3 of the CA/Browser Forum. A certificate's days are
 * counted as whole ones, the last second included.
 */
export const LIMITS = [
  { days: 200, from: '2026-03-15' },
  { days: 100, from: '2027-03-15' },
  { days: 47, from: '2029-03-15' },
] as const
const BEFORE_DAYS = 398

export interface Life {
  readonly notBefore: Date
  readonly notAfter: Date
}

/** The longest life that a public authority may give on this day. */
export function limitOn(issued: Date): number {
  return LIMITS.findLast(({ from }) => issued.getTime() >= Date.parse(from))?.days ?? BEFORE_DAYS
}

export function lifeDays({ notBefore, notAfter }: Life): number {
  return Math.ceil((notAfter.getTime() + 1000 - notBefore.getTime()) / DAY_MS)
}

/** Days until the end; negative behind it. */
export function daysLeft({ notAfter }: Pick<Life, 'notAfter'>, now: Date): number {
  return Math.floor((notAfter.getTime() - now.getTime()) / DAY_MS)
}

/** When a third of the life is left, of which no more than `limit` days count: what it would be, had it been issued under that limit. */
export function dueUnder({ notBefore, notAfter }: Life, limit = Number.POSITIVE_INFINITY): Date {
  const life = Math.min(notAfter.getTime() - notBefore.getTime(), limit * DAY_MS)
  return new Date(notBefore.getTime() + (life * 2) / 3)
}
