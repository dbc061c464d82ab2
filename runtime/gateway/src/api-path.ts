/**
 * Refuses path tricks for our own APIs (T5): backslash, control characters, dot segments, empty segments, double encoding,
 * overlong or broken UTF-8, plain or encoded once. An encoded slash is allowed only inside a CRN, which IBM's clients put into
 * one segment (`/v2/resource_instances/crn%3Av1%3A…%3Aa%2F…`). Returns the reason, or undefined when the path is clean.
 */
export function pathTrick(path: string): string | undefined {
  if (path.includes('\\')) return 'a backslash'
  if (!path.includes('%') && !path.includes('//') && !path.includes('/.')) return undefined
  const segments = path.split('/').slice(1)
  for (const [index, segment] of segments.entries()) {
    if (segment === '' && index < segments.length - 1) return 'an empty segment'
    const trick = segmentTrick(segment)
    if (trick !== undefined) return trick
  }
  return undefined
}

function segmentTrick(segment: string): string | undefined {
  const decoded = decodeOnce(segment)
  if (decoded === undefined) return 'a broken percent-encoding'
  if (decoded === '.' || decoded === '..') return 'a dot segment'
  if (/[\0-\x1f\x7f\\]/.test(decoded)) return 'a control character or backslash'
  if (decoded.includes('%')) return 'a double encoding'
  if (!decoded.includes('/')) return undefined
  return decoded.startsWith('crn:') && !/\/\.{0,2}(\/|$)/.test(decoded) ? undefined : 'an encoded slash'
}

function decodeOnce(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch {
    // Not valid UTF-8 or a lone percent sign: the caller refuses it.
    return undefined
  }
}
