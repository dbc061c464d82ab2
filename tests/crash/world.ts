import { readFileSync, rmSync } from 'node:fs'
import { createWorld as createRealWorld, type World } from '@everleaf/world'

// Sync's bundle for these tests takes this file for `@everleaf/world`.
export * from '@everleaf/world'

/** The real world, except that the process dies hard at the crash point that the file names. The file is gone then: it happens once. */
export function createWorld(options: Parameters<typeof createRealWorld>[0] = {}): World {
  const file = process.env.EVERLEAF_TEST_CRASH_FILE ?? ''
  return {
    ...createRealWorld(options),
    crashPoint(name) {
      if (read(file) !== name) return
      rmSync(file, { force: true })
      process.kill(process.pid, 'SIGKILL')
      // Nothing after the point may happen: the signal is on its way.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    },
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
}
