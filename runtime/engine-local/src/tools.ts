import { spawn } from 'node:child_process'
import { BuildFailed } from '@everleaf/engine'

export type RunTool = (tool: {
  readonly file: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** It runs code of packages or of the source: hide Everleaf's own files and processes from it. */
  readonly shielded?: boolean
  /** What to do when it is not there. */
  readonly install: string
}) => Promise<void>

type ToolOptions = {
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  readonly log: (text: string) => void
  /** Absolute path of the folder that a shielded tool does not see. */
  readonly hidden: string
}

const OUTPUT_LINES = 2000
const LINE_CHARS = 4096

// Everleaf's home is covered and the source shown at /mnt/source; a second namespace inside the first locks these mounts, and the process
// tree of its own keeps the environment of other processes out of sight. $1 what to hide, $2 the source, then the tool.
const SHIELD = `set -e
hidden=$1 source=$2
shift 2
mount -t tmpfs -o mode=0755 none /mnt
mkdir /mnt/source
mount --bind "$source" /mnt/source
mount -t tmpfs -o mode=0700 none "$hidden"
cd /mnt/source
exec unshare --user --map-current-user --mount -- "$@"`
const SHIELD_WORDS = ['--user', '--map-root-user', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', SHIELD, 'sh']

let shieldable: Promise<boolean> | undefined

/** Runs programs that builds need, their output in the build's log. Throws BuildFailed. */
export function toolRunner(options: ToolOptions): RunTool {
  const { log, hidden, cwd } = options
  return async ({ file, args, env = {}, shielded = false, install }) => {
    const name = file.split('/').at(-1) ?? file
    if (shielded && !(await (shieldable ??= canShield())))
      log(`${name} runs code of packages with the rights of the platform: this machine allows no user namespaces.`)
    const isShielded = shielded && (await shieldable)
    const words = isShielded ? [...SHIELD_WORDS, hidden, cwd, file, ...args] : args
    await end(isShielded ? 'unshare' : file, words, { ...options, env: { ...options.env, ...env }, name, install })
  }
}

/** Where a shielded tool sees the source. */
export const SHIELDED_SOURCE = '/mnt/source'

async function canShield(): Promise<boolean> {
  if (process.platform !== 'linux') return false
  const nested = ['--user', '--map-root-user', '--mount', '--pid', '--fork', '--mount-proc', 'sh', '-c']
  const probe = 'mount -t tmpfs none /mnt && exec unshare --user --map-current-user --mount true'
  return new Promise((resolve) => {
    const child = spawn('unshare', [...nested, probe], { stdio: 'ignore' })
    child.once('error', () => resolve(false))
    child.once('close', (code) => resolve(code === 0))
  })
}

type Running = ToolOptions & { readonly name: string; readonly install: string }

function end(file: string, args: readonly string[], { cwd, env, signal, log, name, install }: Running): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, env, signal, stdio: ['ignore', 'pipe', 'pipe'] })
    let lines = 0
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        for (const line of text.split('\n')) if (line.trim() !== '' && ++lines <= OUTPUT_LINES) log(line.slice(0, LINE_CHARS))
      })
    child.once('error', (cause) => reject(new BuildFailed('failed', `${name} cannot be started: ${install}`, { cause })))
    child.once('close', (code) => (code === 0 ? resolve() : reject(new BuildFailed('failed', `${name} ended with ${code}: its output in the log says why.`))))
  })
}
