import { spawn } from 'node:child_process'
import { appendFileSync, chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { endpoints } from '../endpoints.ts'
import { type Found, WrongUse } from '../home.ts'

export type Shell = 'bash' | 'zsh' | 'fish'

/** Which shell a person has: the one that was named, or that of SHELL; bash where it is another. Throws WrongUse. */
export function shellOf(named: string | undefined, env: NodeJS.ProcessEnv): Shell {
  const text = named ?? basename(env.SHELL ?? 'bash')
  if (text === 'bash' || text === 'zsh' || text === 'fish') return text
  if (named === undefined) return 'bash'
  throw new WrongUse(`There is an environment for bash, zsh and fish, not for ${named}.`)
}

/** The environment for official clients as lines of a shell; it holds an API key. */
export function exports(found: Found, shell: Shell): string {
  return Object.entries(endpoints(found))
    .map(([name, value]) =>
      shell === 'fish' ? `set -gx ${name} '${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'\n` : `export ${name}=${quoted(value)}\n`,
    )
    .join('')
}

/**
 * Opens a shell in which `ibmcloud` is ours and logged in, and the clients of all languages find the platform and trust it; or runs one
 * command in it. Resolves with its exit status.
 */
export async function openShell(options: { found: Found; root: string; env: NodeJS.ProcessEnv; shell: Shell; command: readonly string[] }): Promise<number> {
  const { found, env, shell, command } = options
  const bin = programsIn(found.root, options.root)
  // What the person had set for the real cloud would lead there.
  const inherited = Object.fromEntries(Object.entries(env).filter(([name]) => !/^(IBMCLOUD_|SECRETS_MANAGER_URL$)/.test(name)))
  const inside = {
    ...inherited,
    ...endpoints(found),
    PATH: `${bin}:${env.PATH ?? ''}`,
    EVERLEAF_HOME: found.root,
    EVERLEAF_SHELL: '1',
  }
  const [file = shell, ...args] = command.length > 0 ? command : start(shell, found.root)
  const child = spawn(file, args, { env: inside, stdio: 'inherit' })
  // Ctrl-C is for what runs inside.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  return await new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(new WrongUse(`${file} cannot be started: ${cause.message}${lineHint(command)}`)))
    child.once('close', (code, signal) => resolve(code ?? (signal === null ? 1 : 128)))
  })
}

/** A whole line in quotes is one word, which no program is named. */
function lineHint([line = '', ...more]: readonly string[]): string {
  if (more.length > 0 || !/[\s|&;<>$]/.test(line)) return ''
  return `\nA line of a shell is run by one: everleaf shell bash -c ${quoted(line)}`
}

/**
 * A folder of our programs alone, so that nothing else of the installation comes into PATH. They start on the Node that runs this, whatever
 * Node is in PATH: a start of another one first would take twice the time.
 */
function programsIn(home: string, root: string): string {
  const bin = join(home, 'cli', 'bin')
  mkdirSync(bin, { recursive: true, mode: 0o700 })
  for (const name of ['ibmcloud', 'everleaf']) {
    rmSync(join(bin, name), { force: true })
    const words = [process.execPath, join(root, 'bin', name)].map(quoted)
    writeFileSync(join(bin, name), `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`, { mode: 0o700 })
  }
  return bin
}

/**
 * How the shell starts: with the person's own files first, then with ours. What is typed in it may hold a secret and is about another cloud than
 * the person's own: its history is a file of this home, which its owner alone reads; fish, which keeps all of them in one place, keeps none.
 */
function start(shell: Shell, home: string): string[] {
  const folder = join(home, 'cli', 'shell')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = `export PATH="${join(home, 'cli', 'bin')}:$PATH"`
  const history = join(folder, `${shell}_history`)
  if (shell !== 'fish') ownersAlone(history)
  const keepHistory = `HISTFILE=${quoted(history)}`
  if (shell === 'bash') {
    const file = join(folder, 'bashrc')
    writeFileSync(
      file,
      `[ -f ~/.bashrc ] && . ~/.bashrc\n${path}\n${keepHistory}\nHISTCONTROL="$HISTCONTROL:ignorespace"\nPS1="(everleaf) $PS1"\neval "$(ibmcloud completion bash)"\n`,
      { mode: 0o600 },
    )
    return ['bash', '--rcfile', file, '-i']
  }
  if (shell === 'zsh') {
    writeFileSync(
      join(folder, '.zshrc'),
      `[ -f ~/.zshrc ] && . ~/.zshrc\n${path}\n${keepHistory}\nsetopt HIST_IGNORE_SPACE\nPROMPT="(everleaf) $PROMPT"\nautoload -Uz compinit && compinit -u\neval "$(ibmcloud completion zsh)"\n`,
      { mode: 0o600 },
    )
    return ['env', `ZDOTDIR=${folder}`, 'zsh', '-i']
  }
  const prompt = `functions -c fish_prompt _everleaf_prompt; function fish_prompt; printf '(everleaf) '; _everleaf_prompt; end`
  return ['fish', '--init-command', `set -gx PATH "${join(home, 'cli', 'bin')}" $PATH; set -g fish_history ''; ibmcloud completion fish | source; ${prompt}`]
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/** A file that its owner alone reads, made where it is not there. */
function ownersAlone(file: string): void {
  appendFileSync(file, '', { mode: 0o600 })
  chmodSync(file, 0o600)
}
