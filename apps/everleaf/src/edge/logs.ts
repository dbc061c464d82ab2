import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { World } from '@everleaf/world'

/** What instances write, one file per workload below `data/logs`, two files of at most 5 MB each. */
export type LogSink = {
  readonly write: (workload: string, line: { at: number; instance: string; stream: string; text: string }) => void
  readonly flush: () => void
}

const MAX_BYTES = 5 * 1024 * 1024
const FLUSH_MS = 200

export function createLogSink(options: { world: World; folder: string }): LogSink {
  const waiting = new Map<string, string[]>()
  const sizes = new Map<string, number>()
  let waitingForFlush = false
  const flush = () => {
    waitingForFlush = false
    for (const [file, lines] of waiting) {
      try {
        writeLines(file, lines.join(''), sizes)
      } catch (error) {
        // A full disk must not stop serving: the lines are dropped and counted (F18).
        options.world.log.warn({ file, lines: lines.length, error: String(error) }, 'log lines of an app were dropped')
      }
    }
    waiting.clear()
  }
  return {
    write(workload, { at, instance, stream, text }) {
      const file = join(options.folder, `${workload.replace(/[^A-Za-z0-9-]/g, '_')}.log`)
      const line = `${new Date(at).toISOString()} ${instance} ${stream} ${text}\n`
      waiting.get(file)?.push(line) ?? waiting.set(file, [line])
      if (waitingForFlush) return
      waitingForFlush = true
      options.world.after(FLUSH_MS, flush)
    },
    flush,
  }
}

function writeLines(file: string, text: string, sizes: Map<string, number>): void {
  let size = sizes.get(file) ?? statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size > MAX_BYTES) {
    renameSync(file, `${file}.1`)
    size = 0
  }
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  appendFileSync(file, text, { mode: 0o600 })
  sizes.set(file, size + Buffer.byteLength(text))
}
