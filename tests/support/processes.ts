import { readFileSync } from 'node:fs'

/** The processes that a process started itself and that have not ended. */
export function childrenOf(pid: number): number[] {
  return readOf(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number)
}

/** A process and all that come from it. */
function familyOf(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(familyOf)]
}

/** Holds a process and all that come from it where they are; gives them. None can start another one behind our back. */
export function freezeFamily(pid: number): readonly number[] {
  const frozen = new Set<number>()
  for (;;) {
    const next = familyOf(pid).filter((one) => !frozen.has(one))
    if (next.length === 0) return [...frozen]
    for (const one of next) {
      signal(one, 'SIGSTOP')
      frozen.add(one)
    }
  }
}

/** Sends a signal; one that has ended needs none. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Its words, apart by NUL; empty where it has ended. */
export function commandOf(pid: number): string {
  return readOf(`/proc/${pid}/cmdline`)
}

function readOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return ''
  }
}
