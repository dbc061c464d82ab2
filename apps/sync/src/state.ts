import { ApiFailure, type CodeEngine } from '@everleaf/clients'
import type { RenewalState } from './decide-renewal.ts'

type Map = { readonly entityTag: string | undefined; readonly data: Readonly<Record<string, string>> }
type Patch = { name: string; expected: RenewalState | undefined; next: RenewalState; settle: (written: boolean) => void; fail: (cause: unknown) => void }

/** The config map `<app>-state`: one entry for each renewal. */
export interface StateStore {
  read(name: string): Promise<RenewalState | undefined>
  /** Writes one entry; false when somebody else changed that entry since `expected` was read. */
  write(name: string, expected: RenewalState | undefined, next: RenewalState): Promise<boolean>
}

const MAX_CONFLICTS = 5

/**
 * A state store over Code Engine's API. Writes that arrive together go out together: a batch of 100 secrets shares one config
 * map, and each PUT carries the tag of the map that it changes.
 */
export function createStateStore(options: { codeEngine: CodeEngine; project: string; name: string }): StateStore {
  const { codeEngine, project, name: mapName } = options
  let reading: Promise<Map> | undefined
  let latest: Map | undefined
  let waiting: Patch[] = []
  let writing = false

  const readMap = (): Promise<Map> => {
    reading ??= codeEngine
      .getConfigMap(project, mapName)
      .then(
        ({ entity_tag, data }): Map => ({ entityTag: entity_tag, data: data ?? {} }),
        (cause): Map => {
          if (cause instanceof ApiFailure && cause.status === 404) return { entityTag: undefined, data: {} }
          throw cause
        },
      )
      .then((map) => {
        // Not while a write is under way: what it answers is later than what was read.
        if (!writing) latest = map
        return map
      })
      .finally(() => {
        reading = undefined
      })
    return reading
  }

  const put = async (map: Map, data: Record<string, string>): Promise<Map> => {
    const written =
      map.entityTag === undefined
        ? await codeEngine.createConfigMap(project, { name: mapName, data })
        : await codeEngine.replaceConfigMap(project, mapName, { json: { data }, ifMatch: map.entityTag })
    return { entityTag: written.entity_tag, data }
  }

  const flushOnce = async (patches: readonly Patch[]): Promise<void> => {
    let map = latest ?? (await readMap())
    for (let conflicts = 0; ; conflicts++) {
      const data = { ...map.data }
      // An entry that holds `next` already is ours: the first try arrived and its answer was lost.
      const done = patches.filter((patch) => isSame(parseState(data[patch.name]), patch.next))
      const written = patches.filter((patch) => !done.includes(patch) && isSame(parseState(data[patch.name]), patch.expected))
      for (const patch of written) data[patch.name] = JSON.stringify(patch.next)
      try {
        if (written.length > 0) latest = await put(map, data)
        for (const patch of patches) patch.settle(written.includes(patch) || done.includes(patch))
        return
      } catch (cause) {
        if (!isConflict(cause) || conflicts >= MAX_CONFLICTS) throw cause
        latest = undefined
        map = await readMap()
      }
    }
  }

  const flush = async (): Promise<void> => {
    if (writing) return
    writing = true
    try {
      while (waiting.length > 0) {
        const patches = waiting
        waiting = []
        await flushOnce(patches).catch((cause) => {
          latest = undefined
          for (const patch of patches) patch.fail(cause)
        })
      }
    } finally {
      writing = false
    }
  }

  return {
    read: async (name) => parseState((await readMap()).data[name]),
    write: (name, expected, next) =>
      new Promise((settle, fail) => {
        waiting.push({ name, expected, next, settle, fail })
        void flush()
      }),
  }
}

/** 412 is a stale tag; 409 is a map that somebody created first. */
export function isConflict(cause: unknown): boolean {
  return cause instanceof ApiFailure && (cause.status === 412 || cause.status === 409)
}

function isSame(one: RenewalState | undefined, other: RenewalState | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

/** An entry that cannot be read counts as none: the target itself is looked at anyway. */
export function parseState(text: string | undefined): RenewalState | undefined {
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || !('state' in value) || !('renewal' in value) || !('changed_at' in value)) return undefined
    return value as RenewalState
  } catch {
    return undefined
  }
}
