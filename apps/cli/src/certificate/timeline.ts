import { LIMITS } from './lifetimes.ts'
import { printable } from './show.ts'

export interface Bar {
  readonly name: string
  readonly from: Date
  readonly due: Date
  readonly to: Date
  readonly isWell: boolean
}

const [WIDTH, LEFT, RIGHT, ROW, TOP, BOTTOM] = [1000, 260, 20, 28, 50, 20] as const

/** Certificates as bars over time, with today and the days on which shorter lives become due; a whole SVG document. */
export function timeline(bars: readonly Bar[], now: Date): string {
  const times = [now, ...bars.flatMap(({ from, to }) => [from, to])].map((date) => date.getTime())
  // Spread by arguments would end at some ten thousand of them.
  const start = times.reduce((one, other) => Math.min(one, other))
  const span = Math.max(times.reduce((one, other) => Math.max(one, other)) - start, 1)
  const x = (date: Date) => (LEFT + ((date.getTime() - start) / span) * (WIDTH - LEFT - RIGHT)).toFixed(1)
  const height = TOP + bars.length * ROW + BOTTOM
  const limits = LIMITS.map(({ days, from }) => ({ text: `${days} days`, date: new Date(from) })).filter(
    ({ date }) => date.getTime() >= start && date.getTime() <= start + span,
  )
  const marks = [...limits.map((mark) => ({ ...mark, colour: '#888' })), { text: 'now', date: now, colour: '#c00' }]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    '<title>Lives of certificates</title>',
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...bars.flatMap((bar, i) => drawn(bar, TOP + i * ROW, x)),
    ...marks.flatMap(({ text, date, colour }, i) => [
      `<line x1="${x(date)}" y1="${TOP - 6}" x2="${x(date)}" y2="${height - BOTTOM}" stroke="${colour}" stroke-dasharray="3 3"/>`,
      `<text x="${x(date)}" y="${14 + (i % 3) * 14}" text-anchor="middle" fill="${colour}">${text}</text>`,
    ]),
    '</svg>',
    '',
  ].join('\n')
}

function drawn({ name, from, due, to, isWell }: Bar, y: number, x: (date: Date) => string): string[] {
  const rect = (a: Date, b: Date, fill: string) =>
    `<rect x="${x(a)}" y="${y + 4}" width="${Math.max(Number(x(b)) - Number(x(a)), 1).toFixed(1)}" height="${ROW - 12}" fill="${fill}"/>`
  const short = name.length > 38 ? `${name.slice(0, 37)}…` : name
  return [
    `<g><title>${escaped(`${name}: ${from.toISOString()} to ${to.toISOString()}, due ${due.toISOString()}`)}</title>`,
    `<text x="10" y="${y + ROW / 2 + 2}">${escaped(short)}</text>`,
    rect(from, due, isWell ? '#4a8' : '#d66'),
    rect(due, to, isWell ? '#fc6' : '#f99'),
    '</g>',
  ]
}

/** Text for XML, which knows no control characters, in whatever way they are written. */
function escaped(text: string): string {
  return printable(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
