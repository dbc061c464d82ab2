import { appendFileSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { open, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { LogLine, LogPage, LogQuery } from '@everleaf/link'
import type { Timer, World } from '@everleaf/world'

/** Whose lines: an app's, or those of one index of a job run with `size` indices. */
export type LogOwner = { readonly workload: string; readonly index?: number; readonly size?: number }

/**
 * What instances write, below `data/logs`: a file for each app, a folder for each job run with a file for each index, so that a flood of
 * one pushes no line of another out. Each is cut to two files of at most 5 MB, less where a run has many indices.
 */
export type LogSink = {
  readonly write: (owner: LogOwner, line: LogLine) => void
  readonly read: (query: LogQuery) => Promise<LogPage>
  readonly remove: (workload: string) => void
  readonly flush: () => void
}

const MAX_BYTES = 5 * 1024 * 1024
/** All files of one job run, half of what they may become while they are turned over. */
const MAX_RUN_BYTES = 64 * 1024 * 1024
const FLUSH_MS = 200
/** What one answer holds at most, and what is kept for one who follows and is slow. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024
/** Nobody follows any more who has not asked for this long. */
const FOLLOWER_MS = 60_000

type Waiting = { texts: string[]; bytes: number; dropped: number; readonly max: number }
type Numbered = { readonly at: number; readonly index: number | undefined; readonly line: LogLine }
type Followed = { lines: Numbered[]; bytes: number; wake: (() => void)[]; expires: Timer }

export function createLogSink(options: { world: World; folder: string }): LogSink {
  const { world, folder } = options
  const waiting = new Map<string, Waiting>()
  const sizes = new Map<string, number>()
  const followed = new Map<string, Followed>()
  let written = 0
  let waitingForFlush = false

  const flush = () => {
    waitingForFlush = false
    for (const [file, { texts, dropped, max }] of waiting) {
      if (dropped > 0) texts.push(`${world.now().toISOString()} everleaf stderr [everleaf] ${dropped} lines were dropped: more was written than is kept\n`)
      try {
        appendLines(file, texts.join(''), { sizes, max })
      } catch (error) {
        // A full disk must not stop serving: the lines are dropped and counted (F18).
        world.log.warn({ file, lines: texts.length, error: String(error) }, 'log lines of an app were dropped')
      }
    }
    waiting.clear()
  }

  function keep(owner: LogOwner, line: LogLine): void {
    const file = fileOf(folder, owner)
    const max = owner.size === undefined ? MAX_BYTES : Math.min(MAX_BYTES, Math.floor(MAX_RUN_BYTES / 2 / owner.size))
    const queue = waiting.get(file) ?? { texts: [], bytes: 0, dropped: 0, max }
    waiting.set(file, queue)
    const text = `${new Date(line.at).toISOString()} ${line.instance} ${line.stream} ${line.text}\n`
    queue.bytes += text.length
    if (queue.bytes > max) queue.dropped++
    else queue.texts.push(text)
    if (waitingForFlush) return
    waitingForFlush = true
    world.after(FLUSH_MS, flush)
  }

  function follow(workload: string): Followed {
    const known = followed.get(workload)
    known?.expires.cancel()
    const expires = world.after(FOLLOWER_MS, () => followed.delete(workload))
    const entry = known ?? { lines: [], bytes: 0, wake: [], expires }
    entry.expires = expires
    followed.set(workload, entry)
    return entry
  }

  async function after(query: LogQuery & { after: number }): Promise<LogPage> {
    const entry = follow(query.workload)
    const fresh = () =>
      entry.lines
        .filter(({ at, index, line }) => at > query.after && (query.index === undefined || index === query.index) && isOf(query, line))
        .map(({ line }) => line)
    if (fresh().length === 0)
      await new Promise<void>((resolve) => {
        const timer = world.after(query.waitMs, resolve)
        entry.wake.push(() => {
          timer.cancel()
          resolve()
        })
      })
    return { lines: fresh(), cursor: written }
  }

  return {
    write(owner, line) {
      keep(owner, line)
      written++
      const entry = followed.get(owner.workload)
      if (entry === undefined) return
      entry.lines.push({ at: written, index: owner.index, line })
      entry.bytes += line.text.length
      while (entry.bytes > MAX_PAGE_BYTES) entry.bytes -= entry.lines.shift()?.line.text.length ?? entry.bytes
      for (const wake of entry.wake.splice(0)) wake()
    },
    async read(query) {
      if (query.after !== undefined) return await after({ ...query, after: query.after })
      flush()
      const cursor = written
      follow(query.workload)
      return { lines: await readLines(folder, query), cursor }
    },
    remove(workload) {
      const file = fileOf(folder, { workload })
      for (const key of [...waiting.keys(), ...sizes.keys()])
        if (key === file || key.startsWith(`${folderOf(folder, workload)}/`)) {
          waiting.delete(key)
          sizes.delete(key)
        }
      for (const path of [file, `${file}.1`, folderOf(folder, workload)]) rmSync(path, { recursive: true, force: true })
    },
    flush,
  }
}

function folderOf(folder: string, workload: string): string {
  return join(folder, workload.replace(/[^A-Za-z0-9-]/g, '_'))
}

function fileOf(folder: string, { workload, index }: LogOwner): string {
  return index === undefined ? `${folderOf(folder, workload)}.log` : join(folderOf(folder, workload), `${index}.log`)
}

function isOf({ instance }: Pick<LogQuery, 'instance'>, line: LogLine): boolean {
  return instance === undefined || line.instance === instance
}

function appendLines(file: string, text: string, { sizes, max }: { sizes: Map<string, number>; max: number }): void {
  let size = sizes.get(file) ?? statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size > 0 && size + text.length > max) {
    renameSync(file, `${file}.1`)
    size = 0
  }
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  appendFileSync(file, text, { mode: 0o600 })
  sizes.set(file, size + Buffer.byteLength(text))
}

/** The newest lines of an app, or of each index of a run, index by index. */
async function readLines(folder: string, query: LogQuery): Promise<LogLine[]> {
  const files = await filesOf(folder, query)
  const share = Math.floor(MAX_PAGE_BYTES / Math.max(1, files.length))
  const lines: LogLine[] = []
  for (const file of files) {
    const text = await lastBytes(file, share)
    const mine = text.split('\n').flatMap((line) => {
      const parsed = parse(line)
      return parsed !== undefined && isOf(query, parsed) ? [parsed] : []
    })
    lines.push(...(query.tail === 0 ? [] : mine.slice(-query.tail)))
  }
  return lines
}

async function filesOf(folder: string, { workload, index }: LogQuery): Promise<string[]> {
  if (index !== undefined) return [fileOf(folder, { workload, index })]
  const names = await readdir(folderOf(folder, workload)).catch(() => [])
  const indices = new Set(names.map((name) => Number.parseInt(name, 10)))
  return [fileOf(folder, { workload }), ...[...indices].sort((a, b) => a - b).map((one) => fileOf(folder, { workload, index: one }))]
}

/** The last `max` bytes of a file and the one it was turned over to, from the beginning of a line. */
async function lastBytes(file: string, max: number): Promise<string> {
  const own = await tailOf(file, max)
  const before = own.length < max ? await tailOf(`${file}.1`, max - own.length) : Buffer.alloc(0)
  return Buffer.concat([before, own]).toString('utf8')
}

async function tailOf(path: string, max: number): Promise<Buffer> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    const length = Math.min(size, max)
    const bytes = Buffer.alloc(length)
    await file.read(bytes, 0, length, size - length)
    return size > length ? bytes.subarray(bytes.indexOf(10) + 1) : bytes
  } catch {
    return Buffer.alloc(0) // nothing was written yet
  }
}

function parse(line: string): LogLine | undefined {
  const [, time = '', instance = '', stream = '', text = ''] = /^(\S+) (\S+) (stdout|stderr) (.*)$/.exec(line) ?? []
  return time === '' ? undefined : { at: Date.parse(time), instance, stream, text }
}
