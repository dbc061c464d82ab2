/**
 * The helper process that starts every instance, so that the gateway's loop never waits for a fork. A program of its own: it imports
 * nothing but Node, is told everything over file descriptor 3, and dies with its parent, taking all it started with it.
 * `argv[2]` is `sandbox` (it is process 1 of its own process tree; `launcher.ts`) or `plain`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  chownSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { Socket } from 'node:net'
import { StringDecoder } from 'node:string_decoder'
import type { FileSpec, FromHelper, ToHelper } from './protocol.ts'

/** threats-and-faults §7; in characters, which is never more bytes than four times that. */
const LINE_LIMIT = 32_768
/** Lines an instance may write in a burst, and then per second. */
const BURST_LINES = 5000
const LINES_A_SECOND = 1000
/** What may wait for the parent before log lines are dropped. */
const BACKLOG_BYTES = 4 * 1024 * 1024
/** How long after its end an instance's last output is awaited. */
const LAST_OUTPUT_MS = 100
/** Between two looks at the memory of all instances. */
const MEMORY_MS = 500
/** Between two looks at the ports of an instance. */
const WATCH_MS = 200

type Running = {
  readonly process: ChildProcess
  readonly memoryBytes: number
  allowance: number
  refilledAt: number
  dropped: number
  killed: boolean
  outOfMemory: boolean
}

const isSandbox = process.argv[2] === 'sandbox'
const running = new Map<string, Running>()
const parent = new Socket({ fd: 3, readable: true, writable: true })

parent.on(
  'data',
  linesOf((line) => handle(JSON.parse(line) as ToHelper)),
)
parent.on('end', die)
parent.on('error', die)
parent.on('close', die)
process.on('SIGTERM', () => {}) // the parent ends us by closing the pipe, after its instances
process.on('SIGINT', () => {})
tell({ type: 'hello', pid: process.pid })

function tell(message: FromHelper): void {
  parent.write(`${JSON.stringify(message)}\n`)
}

function die(): never {
  // In a sandbox the kernel ends the whole process tree with process 1.
  if (!isSandbox) for (const id of running.keys()) signal(id, 'SIGKILL')
  // This is a program of its own, and its end is what ends its instances.
  process.exit(0)
}

function handle(message: ToHelper): void {
  switch (message.type) {
    case 'start':
      return start(message)
    case 'signal':
      return signal(message.id, message.signal)
    case 'watch':
      return watch(message.id, message.port)
    case 'remove':
      for (const path of message.paths) rmSync(path, { recursive: true, force: true })
      return
    case 'write': {
      let error: string | undefined
      try {
        if (message.inPlace === true) overwrite(message.file)
        else write(message.file)
      } catch (thrown) {
        error = String(thrown)
      }
      tell({ type: 'done', call: message.call, error })
    }
  }
}

function start(message: Extract<ToHelper, { type: 'start' }>): void {
  const { id } = message
  try {
    for (const directory of message.directories) make(directory)
    for (const file of message.files) write(file)
    const child = spawn(message.file, message.args, { env: message.env, cwd: message.cwd, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    const counts = { allowance: BURST_LINES, refilledAt: performance.now(), dropped: 0, killed: false, outOfMemory: false }
    const entry: Running = { process: child, memoryBytes: message.memoryBytes, ...counts }
    child.once('error', (error) => {
      if (child.pid === undefined) tell({ type: 'refused', id, message: error.message })
    })
    if (child.pid === undefined) return
    running.set(id, entry)
    memoryTimer ??= setInterval(lookAtMemory, MEMORY_MS)
    tell({ type: 'started', id, pid: child.pid })
    for (const stream of ['stdout', 'stderr'] as const)
      child[stream]?.on(
        'data',
        linesOf((text) => logLine(id, entry, stream, text), LINE_LIMIT),
      )
    child.once('exit', (code, by) => ended(id, entry, code, by))
  } catch (error) {
    tell({ type: 'refused', id, message: String(error) })
  }
}

function ended(id: string, entry: Running, code: number | null, by: string | null): void {
  if (!isSandbox) killGroup(entry.process.pid)
  const report = () => {
    clearTimeout(timer)
    if (!running.delete(id)) return
    if (entry.dropped > 0) tell({ type: 'dropped', id, lines: entry.dropped })
    // unshare cannot end by the SIGKILL of its child and answers 1 instead.
    const { killed, outOfMemory } = entry
    tell({ type: 'exit', id, ...(killed ? { code: null, signal: 'SIGKILL' } : { code, signal: by }), outOfMemory })
    if (running.size > 0) return
    clearInterval(memoryTimer)
    memoryTimer = undefined
  }
  // A timer of Node's own: this is a program of its own, without a world.
  const timer = setTimeout(report, LAST_OUTPUT_MS)
  entry.process.once('close', report)
}

function logLine(id: string, entry: Running, stream: 'stdout' | 'stderr', text: string): void {
  const now = performance.now()
  entry.allowance = Math.min(BURST_LINES, entry.allowance + ((now - entry.refilledAt) * LINES_A_SECOND) / 1000)
  entry.refilledAt = now
  if (entry.allowance < 1 || parent.writableLength > BACKLOG_BYTES) {
    entry.dropped++
    return
  }
  entry.allowance--
  if (entry.dropped > 0) tell({ type: 'dropped', id, lines: entry.dropped })
  entry.dropped = 0
  tell({ type: 'line', id, stream, text })
}

/**
 * SIGTERM goes to the program itself, SIGKILL to all it started. In a sandbox our child is unshare, its child the first process of the
 * instance's own tree (a shell, which passes no signal on), whose child is the program.
 */
function signal(id: string, name: 'SIGTERM' | 'SIGKILL'): void {
  const entry = running.get(id)
  const pid = entry?.process.pid
  if (entry === undefined || pid === undefined || entry.process.exitCode !== null) return
  if (!isSandbox) return name === 'SIGKILL' ? killGroup(pid) : send(pid, name)
  const first = childOf(pid)
  const program = first !== undefined && name === 'SIGTERM' ? childOf(first) : undefined
  if (program !== undefined) return send(program, 'SIGTERM')
  entry.killed = true
  send(first ?? pid, 'SIGKILL')
}

let memoryTimer: NodeJS.Timeout | undefined

/** Ends every instance that holds more than its limit: without cgroups, which need root and a machine of our own, somebody has to look. */
function lookAtMemory(): void {
  for (const [id, entry] of running) {
    const { pid } = entry.process
    if (pid === undefined || entry.memoryBytes === 0 || entry.killed) continue
    if ([pid, ...descendantsOf(pid)].reduce((sum, one) => sum + memoryOf(one), 0) <= entry.memoryBytes) continue
    entry.outOfMemory = true
    signal(id, 'SIGKILL')
  }
}

/** Bytes that a process holds for itself: neither files that it maps nor what it has only reserved. 0 where nobody says. */
function memoryOf(pid: number): number {
  let bytes = 0
  for (const [, kib] of read(`/proc/${pid}/status`).matchAll(/^(?:RssAnon|RssShmem):\s+(\d+) kB$/gm)) bytes += Number(kib) * 1024
  return bytes
}

/** Looks again and again, for as long as the instance lives, whether it listens on a port by itself. */
function watch(id: string, port: number): void {
  const pid = running.get(id)?.process.pid
  if (pid === undefined) return
  if (listens([pid, ...descendantsOf(pid)], port)) return tell({ type: 'listens', id, port })
  setTimeout(() => watch(id, port), WATCH_MS)
}

/** Whether one of these processes has a listening socket on a TCP port of any address. Linux alone says. */
function listens(pids: readonly number[], port: number): boolean {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  const sockets = new Set<string>()
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6'])
    for (const line of read(file).split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
      if (state === LISTENING && local.endsWith(`:${wanted}`)) sockets.add(`socket:[${inode}]`)
    }
  return sockets.size > 0 && pids.some((pid) => filesOf(pid).some((file) => sockets.has(file)))
}

const LISTENING = '0A'

function filesOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`)
      } catch {
        return '' // closed meanwhile
      }
    })
  } catch {
    return [] // it ended meanwhile
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // not Linux, or it ended meanwhile
  }
}

function childOf(pid: number): number | undefined {
  return childrenOf(pid, pid)[0]
}

function childrenOf(pid: number, task: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return [] // it ended meanwhile, or this is not Linux
  }
}

/** Everything below a plain process, also what left its process group. */
function descendantsOf(pid: number): number[] {
  let tasks: string[] = []
  try {
    tasks = readdirSync(`/proc/${pid}/task`)
  } catch {
    // it ended meanwhile, or this is not Linux
  }
  const children = tasks.flatMap((task) => childrenOf(pid, Number(task)))
  return [...children, ...children.flatMap(descendantsOf)]
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  const below = descendantsOf(pid)
  send(-pid, 'SIGKILL')
  for (const one of below) send(one, 'SIGKILL')
}

function send(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // it ended meanwhile
  }
}

function make({ path, mode, uid }: FileSpec): void {
  mkdirSync(path, { recursive: true, mode })
  if (uid !== undefined) chownSync(path, uid, uid)
}

function write({ path, mode, uid, text }: FileSpec & { text: string }): void {
  const next = `${path}.next`
  rmSync(next, { force: true })
  writeFileSync(next, text, { mode, flag: 'wx' })
  if (uid !== undefined) chownSync(next, uid, uid)
  renameSync(next, path)
}

/** In one write, and cut to its length after it: a reader sees no empty file. */
function overwrite({ path, text }: FileSpec & { text: string }): void {
  const file = openSync(path, 'r+')
  try {
    const bytes = Buffer.from(text)
    writeSync(file, bytes, 0, bytes.length, 0)
    ftruncateSync(file, bytes.length)
  } finally {
    closeSync(file)
  }
}

/** Cuts a stream of bytes into lines; what a line has beyond `limit` characters is dropped. */
function linesOf(each: (line: string) => void, limit = Number.POSITIVE_INFINITY): (chunk: Buffer) => void {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  return (chunk) => {
    const parts = decoder.write(chunk).split('\n')
    for (const [index, part] of parts.entries()) {
      if (rest.length < limit) rest += part.slice(0, limit - rest.length)
      if (index === parts.length - 1) return
      each(rest)
      rest = ''
    }
  }
}
