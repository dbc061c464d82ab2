import { type ChildProcess, spawn } from 'node:child_process'
import type { World } from '@everleaf/world'
import { NotHere } from './home.ts'

export type StartedPlatform = {
  /** Resolves with the exit status when the platform ends by itself. */
  readonly ended: Promise<number>
  stop(): Promise<void>
}

const START_LIMIT_MS = 30_000
const WRONG_MACHINE = 3

/**
 * Starts the platform as a child that ends with this process; resolves when it answers. `said` gets each line that the platform prints
 * besides that it is up: a first start shows the owner's API key this once. Throws NotHere with the platform's own words.
 */
export async function startPlatform(options: {
  command: readonly string[]
  args: readonly string[]
  env: NodeJS.ProcessEnv
  world: World
  said: (line: string) => void
}): Promise<StartedPlatform> {
  const [file = '', ...before] = options.command
  // A group of its own: Ctrl-C is for us, and we stop it in order.
  const child = spawn(file, [...before, 'up', '--with-parent', ...options.args], { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env: options.env })
  const ended = new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? 1)))
  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-20_000)
  })
  await up(child, options, { ended, words: () => words })
  return {
    ended,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

type Watch = { readonly world: World; readonly said: (line: string) => void }

async function up(child: ChildProcess, { world, said }: Watch, { ended, words }: { ended: Promise<number>; words: () => string }): Promise<void> {
  const ready = new Promise<void>((resolve) => {
    let output = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (output + text).split('\n')
      output = lines.pop() ?? ''
      for (const line of lines) {
        if (line.startsWith('Everleaf is up')) resolve()
        else said(line)
      }
    })
  })
  const failed = ended.then((code) => {
    const text = words()
      .replace(/^everleaf: /gm, '')
      .trim()
    throw code === WRONG_MACHINE ? new NotHere(text) : new Error(`the platform ended while it started (status ${code}):\n${text}`)
  })
  const late = world.sleep(START_LIMIT_MS).then(() => {
    child.kill('SIGKILL')
    throw new Error(`the platform did not answer within ${START_LIMIT_MS / 1_000} s:\n${words()}`)
  })
  late.catch(() => {})
  await Promise.race([ready, failed, late])
  failed.catch(() => {})
}
