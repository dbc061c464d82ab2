import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export const ROOT = resolve(import.meta.dirname, '../..')
const CLI = join(ROOT, 'apps/cli/src/main.ts')
const PLATFORM = join(ROOT, 'apps/everleaf/src/main.ts')
export const ANY_PORTS = ['--port', '0', '--private-port', '0', '--http-port', '0', '--api-port', '0'] as const

export type Finished = { readonly status: number | null; readonly signal: string | null; readonly stdout: string; readonly stderr: string }
export type Endpoints = Readonly<Record<string, string>>
export type Ports = {
  readonly pid: number
  readonly public: number
  readonly private: number
  readonly front: number
  readonly api: number
  readonly fixedNames: string | null
  readonly clusterNames: string | null
}

/** Says by name what this machine cannot run; CI counts it as a failure. */
export function couldNotRun(name: string, reason: string): void {
  console.log(`could not run ${name}: ${reason}`)
  const file = process.env.EVERLEAF_COULD_NOT_RUN
  if (file !== undefined) appendFileSync(file, `${name}: ${reason}\n`)
}

export function freshHome(): { home: string; [Symbol.dispose](): void } {
  const home = mkdtempSync(join(tmpdir(), 'ev-'))
  return { home, [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true, maxRetries: 5 }) }
}

/** Runs the command line to its end. */
export async function everleaf(args: readonly string[], options: { home: string; env?: NodeJS.ProcessEnv; limitMs?: number }): Promise<Finished> {
  const child = spawn(process.execPath, [CLI, ...args], { env: environment(options), stdio: ['ignore', 'pipe', 'pipe'] })
  return await finish(child, options.limitMs ?? 120_000)
}

export function environment({ home, env }: { home: string; env?: NodeJS.ProcessEnv }): NodeJS.ProcessEnv {
  return { NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/everleaf'), ...process.env, EVERLEAF_HOME: home, NODE_NO_WARNINGS: '1', ...env }
}

/** Resolves when the child has ended; kills it after the limit. */
export async function finish(child: ChildProcess, limitMs: number): Promise<Finished> {
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const late = setTimeout(() => child.kill('SIGKILL'), limitMs)
  const [status, signal] = await new Promise<[number | null, string | null]>((done) => child.once('close', (code, name) => done([code, name])))
  clearTimeout(late)
  return { status, signal, stdout, stderr }
}

export type Running = {
  readonly home: string
  readonly env: Endpoints
  readonly ports: Ports
  readonly child: ChildProcess
  /** Everything written so far on both outputs. */
  output(): string
  corePid(): number
  api(
    method: string,
    url: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: Record<string, unknown>; text: string; headers: Headers }>
  token(): Promise<string>
  stop(): Promise<Finished['status']>
  [Symbol.asyncDispose](): Promise<void>
}

/** Starts the platform alone on free ports and waits until it answers. */
export async function startPlatform(options: { home: string; args?: readonly string[]; env?: NodeJS.ProcessEnv; entry?: readonly string[] }): Promise<Running> {
  const { home } = options
  const child = spawn(process.execPath, [...(options.entry ?? [PLATFORM]), 'up', ...ANY_PORTS, ...(options.args ?? [])], {
    env: environment(options),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const up = new Promise<void>((ready, failed) => {
    const take = (text: string) => {
      output += text
      if (output.includes('Everleaf is up')) ready()
    }
    child.stdout.setEncoding('utf8').on('data', take)
    child.stderr.setEncoding('utf8').on('data', take)
    child.once('exit', (code) => failed(new Error(`the platform ended with ${code}:\n${output}`)))
    setTimeout(() => failed(new Error(`the platform was not up after 60 s:\n${output}`)), 60_000).unref()
  })
  // A platform that did not come up whole must not keep the home.
  const [ports, env] = await (async () => {
    await up
    const file = JSON.parse(readFileSync(join(home, 'run/ports.json'), 'utf8')) as Ports
    return [file, await eventually('login.json', () => endpointsOf(home).catch(() => undefined), 20_000)] as const
  })().catch((error: unknown) => {
    child.kill('SIGKILL')
    throw error
  })
  const exited = new Promise<number | null>((done) => child.once('exit', (code) => done(code)))
  let cached: string | undefined
  const token = async () => {
    cached ??= await login(env)
    return cached
  }
  const stop = async () => {
    if (child.exitCode === null) child.kill('SIGTERM')
    return await exited
  }
  return {
    home,
    env,
    ports,
    child,
    output: () => output,
    corePid: () =>
      Number(
        readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
          .trim()
          .split(' ')
          .find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('\0core\0')),
      ),
    token,
    async api(method, url, body, headers = {}) {
      const response = await fetch(url, {
        method,
        headers: { authorization: `Bearer ${await token()}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, text, body: text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {} }
    },
    stop,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      await Promise.race([stop(), sleep(20_000, undefined, { ref: false })])
      child.kill('SIGKILL')
    },
  }
}

export async function endpointsOf(home: string): Promise<Endpoints> {
  const { stdout, status, stderr } = await everleaf(['env', '--json'], { home })
  if (status !== 0) throw new Error(`everleaf env: ${stderr}`)
  return JSON.parse(stdout) as Endpoints
}

export async function login(env: Endpoints, key = env.IBMCLOUD_API_KEY ?? ''): Promise<string> {
  const response = await fetch(`${env.IAM_AUTH_URL}/identity/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey: key }),
  })
  if (!response.ok) throw new Error(`no token: ${response.status} ${await response.text()}`)
  return ((await response.json()) as { access_token: string }).access_token
}

/** Processes of this machine whose command line or environment names the home. */
export function processesOf(home: string): string[] {
  const found: string[] = []
  for (const pid of readProcesses()) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      const env = readFileSync(`/proc/${pid}/environ`, 'utf8')
      if (Number(pid) !== process.pid && (command.includes(home) || env.includes(`EVERLEAF_HOME=${home}\0`))) found.push(`${pid} ${command}`)
    } catch {
      // It ended meanwhile, or is another user's.
    }
  }
  return found
}

function readProcesses(): string[] {
  return existsSync('/proc/self')
    ? (process
        .getBuiltinModule('node:fs')
        .readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name)) as string[])
    : []
}

/** Asks again until it holds; fails with `what` after the limit. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined | false> | T | undefined | false, limitMs = 30_000): Promise<T> {
  const endsAt = performance.now() + limitMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
    if (performance.now() > endsAt) throw new Error(`${what}: not within ${limitMs} ms`)
    await sleep(50)
  }
}
