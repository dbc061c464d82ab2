type Plain = Readonly<Record<string, unknown>>

/** RFC 7386: null removes, objects merge, everything else replaces. Keys are plain data, `__proto__` too. */
export function mergePatch(target: unknown, patch: Plain): Plain {
  const merged = new Map<string, unknown>(Object.entries(isObject(target) ? target : {}))
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, isObject(value) ? mergePatch(merged.get(key), value) : value)
  }
  return Object.fromEntries(merged)
}

function isObject(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
