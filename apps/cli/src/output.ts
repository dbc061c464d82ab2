import { fstatSync, statSync, writeSync } from 'node:fs'

const STANDARD_OUTPUT = 1
// What node:os says too, which takes half a millisecond to load.
const NULL_DEVICE = process.platform === 'win32' ? String.raw`\\.\nul` : '/dev/null'

/** Where a command writes what it was asked for. */
export interface Output {
  readonly write: (text: string) => void
  readonly isTerminal: boolean
  /** Ends the process with this status, once everything is written. */
  readonly end: (status: number) => void
}

/**
 * Standard output. To a file or a pipe it writes without Node's stream, which loads 25 modules for it, 5 ms; a terminal has that stream, and so has
 * a pipe that is full and must not be waited for. A reader that has seen enough (`| head -1`) closes the pipe: that is no failure.
 */
export function openOutput(exit: (status: number) => never): Output {
  let stream = mayBeTerminal() ? openStream(exit) : undefined
  const write = (text: string) => {
    const bytes = Buffer.from(text)
    const rest = stream === undefined ? writeNow(bytes, exit) : bytes
    if (rest.length === 0) return
    stream ??= openStream(exit)
    stream.write(rest)
  }
  const end = (status: number) => {
    if (stream === undefined || stream.writableLength === 0) exit(status)
    stream?.once('drain', () => exit(status))
  }
  return { write, isTerminal: stream?.isTTY === true, end }
}

// What is no device is no terminal, and to ask node:tty would load as much as the stream.
function mayBeTerminal(): boolean {
  try {
    const found = fstatSync(STANDARD_OUTPUT)
    return found.isCharacterDevice() && found.rdev !== statSync(NULL_DEVICE).rdev
  } catch {
    // Closed, or on a system without such questions: Node knows what to do.
    return true
  }
}

function openStream(exit: (status: number) => never): NodeJS.WriteStream {
  process.stdout.on('error', () => exit(0))
  return process.stdout
}

/** Gives back what could not be written without waiting. */
function writeNow(bytes: Buffer, exit: (status: number) => never): Buffer {
  let rest = bytes
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(STANDARD_OUTPUT, rest))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EPIPE') exit(0)
    if (code !== 'EAGAIN') throw error
  }
  return rest
}
