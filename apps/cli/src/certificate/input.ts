import { readFileSync, writeFileSync } from 'node:fs'
import { type Certificate, parsePem, readCertificate, type Trust } from '@everleaf/pki'
import { WrongUse } from '../home.ts'

const LIMIT_S = 5
const LONGEST_S = 600

/** How long each look may take. Throws WrongUse. */
export function secondsOf(timeout: string | undefined): number {
  const seconds = timeout === undefined ? LIMIT_S : Number(timeout)
  if (!(seconds > 0 && seconds <= LONGEST_S)) throw new WrongUse(`--timeout: ${timeout} is no number of seconds from 0.1 to ${LONGEST_S}.`)
  return seconds
}

/** The roots that `--trust` names. Throws WrongUse. */
export function trustOf(trust: string): Trust {
  return trust === 'public' ? 'public' : { roots: read(trust) }
}

/** Throws WrongUse for what is no time. */
export function timeOf(text: string): Date {
  const time = new Date(text)
  if (Number.isNaN(time.getTime())) throw new WrongUse(`--at: ${text} is no time; write it as 2027-01-31T12:00:00Z.`)
  return time
}

/** Throws WrongUse where it cannot be read. */
export function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new WrongUse(`${file} cannot be read.`, { cause })
  }
}

/** Throws WrongUse where it cannot be written. */
export function save(file: string, text: string): void {
  try {
    writeFileSync(file, text)
  } catch (cause) {
    throw new WrongUse(`${file} cannot be written.`, { cause })
  }
}

/** The certificates of PEM text that can be read: the gate says what is wrong with the others. */
export function readable(text: string): Certificate[] {
  return readEach((parsePem(text).blocks ?? []).filter(({ label }) => label.endsWith('CERTIFICATE')).map(({ der }) => der))
}

/** Those of them that can be read. */
export function readEach(certificates: readonly Uint8Array[]): Certificate[] {
  return certificates.flatMap((der) => {
    try {
      return [readCertificate(der)]
    } catch {
      return []
    }
  })
}

/** The certificate of the server among them. */
export function leafOf(certificates: readonly Certificate[]): Certificate | undefined {
  return certificates.find(({ basicConstraints }) => basicConstraints?.ca !== true) ?? certificates[0]
}
