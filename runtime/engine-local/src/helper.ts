import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join } from 'node:path'
import type { Duplex } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import type { World } from '@everleaf/world'
import { BASE_SCRIPT, baseFstab, SYSTEM_PATH } from './launcher.ts'
import type { FromHelper, ToHelper } from './protocol.ts'

/** `root`: namespaces as root, a uid for each component; `user`: namespaces without root; `plain`: processes of this machine. */
export type Mode = 'root' | 'user' | 'plain'

export type HelperOptions = {
  readonly world: World
  /** Absolute; holds what the engine keeps on disk. */
  readonly directory: string
  /** The helper's program. */
  readonly program: string
  readonly node: string
  readonly mode: Mode
  readonly onMessage: (message: FromHelper) => void
  /** It ended although nobody asked; all its instances have ended with it. */
  readonly onLost: () => void
}

export interface Helper {
  readonly mode: Mode
  readonly pid: number
  send(message: ToHelper): void
  /** Ends the helper and everything it started. */
  close(): Promise<void>
}

const START_LIMIT_MS = 5000
/** It only passes messages on: a small heap, no threads for compiling. */
const SMALL = ['--max-old-space-size=32', '--max-semi-space-size=1', '--v8-pool-size=0', '--no-warnings']

/** Starts the helper process and waits for its first word; throws with the reason when this machine does not allow `mode`. */
export async function startHelper(options: HelperOptions): Promise<Helper> {
  const { world, mode } = options
  const child = launch(options)
  const pipe = child.stdio[3] as Duplex
  const hello = Promise.withResolvers<number>()
  let complaint = ''
  let closing = false
  let greeted = false
  const exited = new Promise<void>((resolve) => {
    const end = (why: string) => {
      hello.reject(new Error(complaint.trim() || why))
      if (greeted && !closing) options.onLost()
      resolve()
    }
    child.once('error', (error) => end(error.message))
    child.once('exit', (code, signal) => end(`the helper process ended with ${signal ?? code}`))
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = `${complaint}${chunk}`.slice(-2000)
  })
  pipe.on('error', () => {}) // its end is seen through `exit`
  readLines(pipe, (text) => {
    const message = JSON.parse(text) as FromHelper
    if (message.type === 'hello') hello.resolve(message.pid)
    else options.onMessage(message)
  })
  const timer = world.after(START_LIMIT_MS, () => hello.reject(new Error(`the helper process said nothing in ${START_LIMIT_MS} ms`)))
  const close = async () => {
    closing = true
    child.ref()
    pipe.destroy()
    const force = world.after(2000, () => child.kill('SIGKILL'))
    await exited
    force.cancel()
  }
  try {
    await hello.promise
    greeted = true
  } catch (error) {
    await close()
    throw error
  } finally {
    timer.cancel()
  }
  child.unref()
  return { mode, pid: child.pid ?? 0, send: (message) => void pipe.write(`${JSON.stringify(message)}\n`), close }
}

function launch({ directory, program, node, mode }: HelperOptions): ChildProcess {
  const prepared = prepareProgram(directory, program)
  const env = { PATH: SYSTEM_PATH }
  const stdio = ['ignore', 'ignore', 'pipe', 'pipe'] as const
  if (mode === 'plain') {
    // No signal from the kernel here: the helper sees the pipe close and has to end its instances itself.
    return spawn(node, [...SMALL, prepared, 'plain'], { env, stdio: [...stdio] })
  }
  // The kernel ends the helper with us, even when nobody is left to close the pipe.
  const withUs = ['/usr/bin/setpriv', '/bin/setpriv'].some((path) => existsSync(path)) ? ['setpriv', '--pdeathsig', 'KILL'] : []
  const root = join(directory, 'root')
  const fstab = join(directory, 'fstab')
  mkdirSync(root, { recursive: true, mode: 0o700 })
  writeFileSync(fstab, baseFstab({ root, directory, nodeDirectory: dirname(node) }), { mode: 0o600 })
  const inside = ['/everleaf/node/node', ...SMALL, `/.e/dir/${prepared.slice(directory.length + 1)}`, 'sandbox']
  const unshare = ['unshare', ...(mode === 'user' ? ['--user', '--map-root-user'] : []), '--mount', '--mount-proc', '--pid', '--fork', '--kill-child']
  const [file = 'unshare', ...args] = [...withUs, ...unshare, 'sh', '-c', BASE_SCRIPT, 'sh', fstab, root, ...inside]
  return spawn(file, args, { env, cwd: '/', stdio: [...stdio] })
}

/** A copy of the helper's program as plain JavaScript: stripping types inside the helper would cost it a third of its memory. */
function prepareProgram(directory: string, program: string): string {
  const copy = join(directory, 'helper.mjs')
  const source = readFileSync(program, 'utf8')
  writeFileSync(copy, program.endsWith('.ts') ? stripped(source) : source, { mode: 0o644 })
  return copy
}

/** Without Node's remark that this function is experimental: the Node we run on is pinned. */
function stripped(source: string): string {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return stripTypeScriptTypes(source)
  } finally {
    process.emitWarning = emitWarning
  }
}

function readLines(pipe: Duplex, each: (line: string) => void): void {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  pipe.on('data', (chunk: Buffer) => {
    const parts = (rest + decoder.write(chunk)).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) each(part)
  })
}
