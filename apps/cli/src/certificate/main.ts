import { clockOffsetMs, createWorld, homeFolder } from '@everleaf/world'
import { NotHere, WrongUse } from '../home.ts'
import { openOutput } from '../output.ts'
import { createTerminal } from '../terminal.ts'
import { runCertificate } from './program.ts'

// `everleaf certificate` without the rest of the command line: it needs no platform, and is to start as fast as an empty program nearly.
const output = openOutput((status) => process.exit(status))
// In one piece: each line by itself would be a call of the system.
let text = ''
const write = (part: string) => void (text += part)

/** The exit status. */
async function main(): Promise<number> {
  try {
    const world = createWorld({ offsetMs: clockOffsetMs(process.env, WrongUse) })
    const terminal = createTerminal({ write, isTerminal: output.isTerminal, nowMs: () => world.monotonicMs() })
    const around = {
      world,
      terminal,
      write,
      // Asked for by readiness alone.
      get home() {
        return homeFolder(process.env)
      },
    }
    const fit = await runCertificate(process.argv.slice(3), around)
    output.write(text)
    return fit ? 0 : 1
  } catch (error) {
    const { message } = error instanceof Error ? error : { message: String(error) }
    if (error instanceof WrongUse) output.write(text)
    process.stderr.write(`everleaf: ${message}\n`)
    return error instanceof WrongUse ? 2 : error instanceof NotHere ? 3 : 1
  }
}

// Not awaited: as one file it is CommonJS, which cannot. Ended, for a name that DNS does not answer would hold the process.
void main().then(output.end)
