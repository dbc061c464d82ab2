/** At most this many instances in one run, and no higher index (Code Engine's page of limits). */
export const MAX_INDICES = 1_000
const MAX_INDEX = 9_999_999
const PART = /^(0|[1-9]\d{0,6})(?:-(0|[1-9]\d{0,6}))?$/

/** The indices of an array specification such as `1-5,7-8,10`, ascending, each once; a sentence about what is wrong with it otherwise. */
export function parseArraySpec(spec: string): number[] | string {
  if (spec.length < 1 || spec.length > 253) return 'must have 1 to 253 characters'
  const indices = new Set<number>()
  for (const part of spec.split(',')) {
    const [, first, last = first] = PART.exec(part) ?? []
    if (first === undefined) return `has "${part}", which is no index and no range: write numbers from 0 to ${MAX_INDEX} and ranges, such as 1-5,7-8,10`
    if (Number(first) > Number(last)) return `has the range ${part}, which ends before it begins`
    if (Number(last) - Number(first) >= MAX_INDICES) return `names more than ${MAX_INDICES} indices`
    for (let index = Number(first); index <= Number(last); index++) indices.add(index)
    if (indices.size > MAX_INDICES) return `names more than ${MAX_INDICES} indices`
  }
  return [...indices].sort((a, b) => a - b)
}

/** Ascending indices in range syntax: `2-4,6-8`; '' for none. */
export function formatIndices(indices: readonly number[]): string {
  const parts: string[] = []
  for (let at = 0; at < indices.length;) {
    const first = indices[at] ?? 0
    let last = first
    while (indices[++at] === last + 1) last++
    parts.push(first === last ? String(first) : `${first}-${last}`)
  }
  return parts.join(',')
}
