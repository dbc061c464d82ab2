import { clockOffsetMs, createWorld, homeFolder } from '@everleaf/world'
import { NotHere, WrongUse } from '../home.ts'
import { createTerminal } from '../terminal.ts'
import { runCertificate } from './program.ts'

// `everleaf certificate` without the rest of the command line: it needs no platform, and is to start as fast as an empty program nearly.
process.stdout.on('error', () => process.exit(0)) // a reader that has seen enough closes the pipe
const write = (text: string) => void process.stdout.write(text)
const terminal = createTerminal({ write, isTerminal: process.stdout.isTTY === true, nowMs: () => Number(process.hrtime.bigint()) / 1e6 })
try {
  const world = createWorld({ offsetMs: clockOffsetMs(process.env, WrongUse) })
  const fit = await runCertificate(process.argv.slice(3), { world, terminal, write, home: homeFolder(process.env) })
  process.exitCode = fit ? 0 : 1
} catch (error) {
  const { message } = error instanceof Error ? error : { message: String(error) }
  process.stderr.write(`everleaf: ${message}\n`)
  process.exitCode = error instanceof WrongUse ? 2 : error instanceof NotHere ? 3 : 1
}
// A name that DNS does not answer would hold the process; what was written must still get out.
if (process.stdout.writableLength === 0) process.exit()
process.stdout.once('drain', () => process.exit())
