import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createWorld as createRealWorld, type World } from '@everleaf/world'

// Sync's bundle for these tests takes this file for `@everleaf/world`.
export * from '@everleaf/world'

/** The real world, except that the process dies hard at any crash point that is a line of the file. The line is gone then: it happens once. */
export function createWorld(options: Parameters<typeof createRealWorld>[0] = {}): World {
  const file = process.env.EVERLEAF_TEST_CRASH_FILE ?? ''
  return {
    ...createRealWorld(options),
    crashPoint(name) {
      const points = read(file)
      if (!points.includes(name)) return
      const left = points.filter((point) => point !== name)
      if (left.length === 0) rmSync(file, { force: true })
      else writeFileSync(file, left.join('\n'))
      process.kill(process.pid, 'SIGKILL')
      // Nothing after the point may happen: the signal is on its way.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    },
  }
}

function read(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').trim().split('\n')
  } catch {
    return []
  }
}
