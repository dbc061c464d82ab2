import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { NotHere } from './wrong-use.ts'

/** What one command leaves for the next, in a file that only its owner reads. */
export type State = {
  /** How to log in again when the token has ended: a key, or the trusted profile of this compute resource. */
  readonly login?: { readonly apikey: string } | { readonly crToken: string; readonly profile: string }
  /** True after `logout`: the platform's own login is not taken either. */
  readonly loggedOut?: boolean
  readonly token?: { readonly value: string; readonly endsAt: number; readonly of: string }
  readonly region?: string
  /** The instance of Event Notifications that `en init` chose. */
  readonly eventNotifications?: string
  /** The instance of Secrets Manager that `secrets-manager config set service-url` chose. */
  readonly secretsManagerUrl?: string
  /** The id of the project that `ce project select` chose. */
  readonly codeEngineProject?: string
  /** The instance of Object Storage that new buckets belong to. */
  readonly cosCrn?: string
  /** The region of new buckets that `cos config region` chose. */
  readonly cosRegion?: string
  readonly group?: { readonly id: string; readonly name: string }
}

/** Throws NotHere when the file is damaged. */
export function readState(file: string): State {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {}
    throw new NotHere(`${file} cannot be read (${error instanceof Error ? error.message : String(error)}).`)
  }
  try {
    const read: unknown = JSON.parse(text)
    if (typeof read === 'object' && read !== null && !Array.isArray(read)) return read
  } catch {
    // said below
  }
  throw new NotHere(`${file} is damaged.\nDelete it and log in again with: ibmcloud login`)
}

/** Whole or not at all: two commands at once leave the state of one of them. */
export function writeState(file: string, state: State): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const next = `${file}.${process.pid}`
  writeFileSync(next, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 })
  chmodSync(next, 0o600)
  renameSync(next, file)
}
