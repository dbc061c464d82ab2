import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { examine, type Verdict, writePem } from '../../src/index.ts'

/** One case of a public suite: a bundle, what it is asked for, and what the suite expects. */
export interface Case {
  readonly id: string
  readonly expected: boolean
  readonly ask: () => Verdict
}

/** What a suite says about the gate: ids of the cases in which it differs. */
export interface Score {
  readonly cases: number
  readonly agree: number
  readonly falseAccepts: readonly string[]
  readonly falseRefusals: readonly string[]
}

const FOLDER = process.env.EVERLEAF_VECTORS ?? join(import.meta.dirname, '../../../../../shared/vectors')

/** The suite's file, or undefined after its name was noted among what could not run. */
export function vectors(file: string): Buffer | undefined {
  const path = join(FOLDER, file)
  if (existsSync(path)) return readFileSync(path)
  const list = process.env.EVERLEAF_COULD_NOT_RUN
  if (list !== undefined) appendFileSync(list, `vectors: ${file} is not beside the project (EVERLEAF_VECTORS)\n`)
  return undefined
}

/** Judges all cases. */
export function score(cases: readonly Case[]): Score {
  const wrong = cases.filter(({ ask, expected }) => ask().accept !== expected)
  const ids = (expected: boolean) => wrong.filter((one) => one.expected === expected).map(({ id }) => id)
  return { cases: cases.length, agree: cases.length - wrong.length, falseAccepts: ids(false), falseRefusals: ids(true) }
}

type LimboCase = {
  readonly id: string
  readonly validation_kind: string
  readonly expected_result: string
  readonly trusted_certs: readonly string[]
  readonly untrusted_intermediates: readonly string[]
  readonly peer_certificate: string
  readonly validation_time: string | null
  readonly expected_peer_name: { readonly value: string } | null
  readonly max_chain_depth: number | null
}

/** x509-limbo's server cases (C2SP). A case without a time of its own is asked for the time at which the suite was last renewed. */
export function limboCases(now: Date): Case[] | undefined {
  const file = vectors('x509-limbo.json')
  if (file === undefined) return undefined
  const all: readonly LimboCase[] = JSON.parse(file.toString())
  return all
    .filter(({ validation_kind: kind }) => kind === 'SERVER')
    .map((one) => ({
      id: one.id,
      expected: one.expected_result === 'SUCCESS',
      ask: () =>
        examine({
          bundle: { certificate: one.peer_certificate, intermediate: one.untrusted_intermediates.join('\n') },
          boundHosts: one.expected_peer_name === null ? [] : [one.expected_peer_name.value],
          // Where no name is asked for, that there is none is no fault.
          accept: one.expected_peer_name === null ? ['no-san'] : [],
          trust: { roots: one.trusted_certs.join('\n') },
          rules: 'web',
          clockSkewMs: 0,
          ...(one.max_chain_depth === null ? {} : { maxAuthorities: one.max_chain_depth }),
          now: one.validation_time === null ? now : new Date(one.validation_time),
        }),
    }))
}

type BetterCase = {
  readonly id: number
  readonly certificates: readonly string[]
  readonly hostname: string
  readonly expected: string
  readonly failureIsWarning: boolean
}
type BetterSuites = { readonly trustRoot: string; readonly suites: Readonly<Record<BetterSuite, { readonly testCases: readonly BetterCase[] }>> }
type BetterSuite = 'nameconstraints' | 'pathbuilding'

/** A suite of BetterTLS (Netflix); its certificates live from 2026-11-21 to 2027-11-23. */
export function betterCases(suite: BetterSuite, now: Date): Case[] | undefined {
  const file = vectors('bettertls.json.gz')
  if (file === undefined) return undefined
  const { trustRoot, suites }: BetterSuites = JSON.parse(gunzipSync(file).toString())
  const pem = (der: string) => writePem('CERTIFICATE', Buffer.from(der, 'base64'))
  const roots = pem(trustRoot)
  return suites[suite].testCases.map((one) => ({
    id: `${suite} ${one.id}`,
    expected: one.expected === 'ACCEPT',
    ask: () => examine({ bundle: { certificate: one.certificates.map(pem).join('') }, boundHosts: [one.hostname], accept: [], trust: { roots }, now }),
  }))
}
