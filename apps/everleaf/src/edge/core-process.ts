import { type ChildProcess, spawn } from 'node:child_process'
import type { Timer, World } from '@everleaf/world'

export type CoreProcess = {
  /** What core is to work with: it loads its code meanwhile and waits for this line. Each later start gets the same. */
  readonly begin: (args: string) => void
  readonly pid: () => number | undefined
  readonly restarts: () => number
  /** Core has answered: what it failed at before is over, and its next end is a first one. */
  readonly answered: () => void
  /** SIGTERM, then SIGKILL after `graceMs`; it is not started again. */
  stop(graceMs: number): Promise<void>
}

const BACK_OFF_MS = [0, 100, 250, 500, 1_000, 2_000, 5_000] as const
/** What core exits with when starting again cannot help (wrong root key, another platform has the database). */
export const CORE_GIVES_UP = 3

/** Starts core, at once, and starts it again when it ends, waiting longer each time it does not live. */
export function keepCore(options: { world: World; command: readonly string[]; env: NodeJS.ProcessEnv; onGiveUp: (status: number) => void }): CoreProcess {
  const { world } = options
  let child: ChildProcess | undefined
  let failures = 0
  let restarts = 0
  let stopping = false
  let timer: Timer | undefined
  let line: string | undefined

  function start(): void {
    const [file = '', ...args] = options.command
    // A group of its own: Ctrl-C in a terminal is for edge, which stops core in order.
    child = spawn(file, args, { stdio: ['pipe', 'inherit', 'inherit'], detached: true, env: options.env })
    // Core may end before it has read its line: its exit tells.
    child.stdin?.on('error', () => {})
    if (line !== undefined) child.stdin?.write(line)
    child.on('error', (error) => world.log.error({ error: error.message }, 'core could not be started'))
    child.on('exit', (code, signal) => {
      child = undefined
      if (stopping) return
      if (code === CORE_GIVES_UP) return options.onGiveUp(code)
      restarts++
      failures++
      const waitMs = BACK_OFF_MS[Math.min(Math.max(failures - 1, 0), BACK_OFF_MS.length - 1)] ?? 0
      world.log.warn({ code, signal, waitMs }, 'core ended; it is started again')
      timer = world.after(waitMs, start)
    })
  }

  start()
  return {
    begin(args) {
      line = `${args}\n`
      child?.stdin?.write(line)
    },
    pid: () => child?.pid,
    restarts: () => restarts,
    answered: () => {
      failures = 0
    },
    async stop(graceMs) {
      stopping = true
      timer?.cancel()
      const running = child
      if (running === undefined) return
      const ended = new Promise<void>((resolve) => running.once('exit', () => resolve()))
      running.kill('SIGTERM')
      const last = world.after(graceMs, () => running.kill('SIGKILL'))
      await ended
      last.cancel()
    },
  }
}
