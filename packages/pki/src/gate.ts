import type { KeyObject } from 'node:crypto'
import { type Bundle, type Placed, readBundle, readPrivateKey } from './bundle.ts'
import { type Certificate, isSelfSigned, toPem, toX509 } from './certificate.ts'
import { CLOCK_SKEW_MS, leafFaults } from './certificate-rules.ts'
import { findChain, type KnownChecks, rememberChecks, unrelated } from './chain.ts'
import { covers } from './host-names.ts'
import { type Position, type Reason, reason } from './reasons.ts'
import { readTrust, type Trust } from './trust.ts'
import { type Place, webFaults } from './web-rules.ts'

/** What a renewal may let through; everything is off by default. */
export type AcceptOption = 'no-san' | 'ca-leaf' | 'lone-leaf'

export interface GateQuestion {
  readonly bundle: Bundle
  readonly privateKey: string
  /** Every host that is served with the certificate: names (also in Unicode) or IP addresses, without ports. */
  readonly boundHosts: readonly string[]
  /** The certificate that is served now. */
  readonly inPlace?: { readonly fingerprint: string; readonly notBefore: Date; readonly notAfter: Date }
  readonly accept: readonly AcceptOption[]
  /** Absent: a chain is judged up to its own last certificate. */
  readonly trust?: Trust
  /** How long the certificate must still live. Default 0. */
  readonly minimumLifeMs?: number
  /**
   * `clients`: what TLS clients refuse. `web`: also what public authorities may not issue, though most clients connect.
   * Default: `web` where trust is `public`, `clients` elsewhere, for a private authority may leave out what the web insists on.
   */
  readonly rules?: 'clients' | 'web'
  /** How far the clocks of others may be behind `now`. Default 5 minutes. */
  readonly clockSkewMs?: number
  /** How many authorities may stand between leaf and root, self-issued ones not counted. Default: what the authorities allow. */
  readonly maxAuthorities?: number
  readonly now: Date
}

export type Verdict =
  | {
      readonly accept: true
      /** What to serve, as PEM: leaf first, each certificate signed by the next, without root, duplicates and unused alternatives. */
      readonly chain: string
      /** Of the leaf. */
      readonly fingerprint: string
      readonly notBefore: Date
      readonly notAfter: Date
      readonly warnings: readonly Reason[]
    }
  | { readonly accept: false; readonly reasons: readonly Reason[] }

/** Decides whether a certificate and its key may be served, and what exactly is then served. Pure; every reason is a word of REASONS. */
export function decide(question: GateQuestion): Verdict {
  return examine(question)
}

/** What `decide` asks, for one who may not have the key: without it, nothing is said about the pair, and nothing may be served for it. */
export type Examination = Omit<GateQuestion, 'privateKey'> & { readonly privateKey?: string }

/** The gate's word on a bundle whose key is not at hand (a linter's question); the same rules, the same words. */
export function examine(question: Examination): Verdict {
  return openQuestion(question).judge(question.rules)
}

/** A question whose texts have been read. */
export interface Opened {
  /** Every certificate of the bundle, in its order; absent where anything of it cannot be read. */
  readonly certificates?: readonly Certificate[]
  /** The gate's word by these rules. */
  readonly judge: (rules: GateQuestion['rules']) => Verdict
}

/** Reads the texts of a question once: for who asks by more than one set of rules, and shows what was read. */
export function openQuestion(question: Examination): Opened {
  const { placed, all, reasons } = readBundle(question.bundle)
  const { key, reasons: keyReasons = [] } = question.privateKey === undefined ? {} : readPrivateKey(question.privateKey)
  const trust = question.trust === undefined ? undefined : readTrust(question.trust)
  const unreadable = [...reasons, ...keyReasons, ...(trust?.reasons ?? [])]
  const certificates = reasons.length > 0 ? {} : { certificates: all }
  if (unreadable.length > 0) return { ...certificates, judge: () => ({ accept: false, reasons: unreadable }) }
  const known = rememberChecks()
  return { ...certificates, judge: (rules) => judge({ placed, key, anchors: trust?.anchors, known }, rules === undefined ? question : { ...question, rules }) }
}

interface Read {
  readonly placed: readonly Placed[]
  readonly key: KeyObject | undefined
  readonly anchors: ((certificate: Certificate) => readonly Certificate[]) | undefined
  readonly known: KnownChecks
}

function judge(read: Read, question: Examination): Verdict {
  const { placed, key } = read
  const leaf = chooseLeaf(placed, key)
  if (leaf === undefined) return { accept: false, reasons: [reason('leaf-missing', undefined, placed[0]?.position)] }
  const findings = [
    key === undefined ? FINE : keyFinding(leaf, key),
    validity(leaf, question),
    authority(leaf, placed, question),
    names(leaf, question),
    age(leaf, question),
  ]
  const { chain, ...chainFindings } = judgeChain(leaf, read, question)
  const refusals = [...findings, chainFindings].flatMap(({ refusals }) => refusals)
  if (refusals.length > 0) return { accept: false, reasons: distinct(refusals) }
  const { fingerprint, notBefore, notAfter } = leaf.certificate
  const warnings = [...findings, chainFindings].flatMap(({ warnings }) => warnings)
  return { accept: true, chain: chain.map(toPem).join(''), fingerprint, notBefore, notAfter, warnings }
}

interface Finding {
  readonly refusals: readonly Reason[]
  readonly warnings: readonly Reason[]
}

const FINE: Finding = { refusals: [], warnings: [] }
const refuse = (...refusals: readonly Reason[]): Finding => ({ refusals, warnings: [] })
const warn = (...warnings: readonly Reason[]): Finding => ({ refusals: [], warnings })

/**
 * Which certificate is the server's, wherever it stands:
 * | key fits | authority | then |
 * | --- | --- | --- |
 * | yes | no  | the first of these |
 * | yes | yes | the first of these: a self-signed one, or a leaf with the CA flag |
 * | no  | no  | the first of these, for the reasons to speak of something |
 * | no  | yes | there is none |
 */
function chooseLeaf(placed: readonly Placed[], key: KeyObject | undefined): Placed | undefined {
  if (key === undefined) return placed.find(isServer) ?? placed[0]
  const fitting = placed.filter(({ certificate }) => fits(certificate, key))
  const lone = placed.length === 1 ? placed[0] : undefined
  return fitting.find(isServer) ?? fitting[0] ?? placed.find(isServer) ?? (lone && isSelfSigned(lone.certificate) ? lone : undefined)
}

function isServer({ certificate }: Placed): boolean {
  return certificate.basicConstraints?.ca !== true
}

function fits(certificate: Certificate, key: KeyObject): boolean {
  try {
    return toX509(certificate).checkPrivateKey(key)
  } catch {
    // OpenSSL throws where the two are of different kinds.
    return false
  }
}

function keyFinding({ certificate, position }: Placed, key: KeyObject): Finding {
  return fits(certificate, key) ? FINE : refuse(reason('key-mismatch', undefined, position))
}

function validity({ certificate, position }: Placed, question: Examination): Finding {
  const { now, minimumLifeMs = 0, clockSkewMs = CLOCK_SKEW_MS } = question
  const faults = leafFaults(certificate, { now, minimumLifeMs, clockSkewMs })
  const more = profileOf(question).includes('leaf') ? webFaults(certificate, 'leaf') : []
  return refuse(...[...faults, ...more].map((fault) => ({ ...fault, position })))
}

// Who is in a list of public roots was judged by those who keep the list; some of them are older than the profile.
function profileOf({ rules, trust }: Examination): readonly Place[] {
  if ((rules ?? (trust === 'public' ? 'web' : 'clients')) === 'clients') return []
  return trust === 'public' ? ['leaf', 'authority'] : ['leaf', 'authority', 'root']
}

// `openssl req -x509` marks what it makes as an authority: alone and self-signed, that does no harm.
function authority({ certificate, position }: Placed, placed: readonly Placed[], { accept }: Examination): Finding {
  if (certificate.basicConstraints?.ca !== true) return FINE
  const found = reason('ca-leaf', 'Whoever trusts it trusts everything that is signed with its key.', position)
  const harmless = placed.length === 1 && isSelfSigned(certificate)
  return harmless || accept.includes('ca-leaf') ? warn(found) : refuse(found)
}

function names({ certificate, position }: Placed, { boundHosts, accept }: Examination): Finding {
  const { dnsNames, ipAddresses, subject } = certificate
  const uncovered = (known: { dnsNames: readonly string[]; ipAddresses: readonly string[] }) =>
    boundHosts.filter((host) => !covers(known, host)).map((host) => reason('host-not-covered', `The host is ${host}.`, position))
  if (dnsNames.length + ipAddresses.length > 0) return refuse(...uncovered(certificate))
  if (!accept.includes('no-san')) return refuse(reason('no-san', 'Browsers accept it for no host at all.', position))
  const warning = reason(
    'no-san',
    'Browsers will refuse it for every host; only clients that still read the common name, or do not check names, will connect.',
    position,
  )
  // Who accepts a certificate without names has said that names are not what its clients go by.
  return warn(warning, ...uncovered({ dnsNames: subject.commonName === undefined ? [] : [subject.commonName], ipAddresses: [] }))
}

/** Older means: it began earlier, and does not end later. A longer one that began earlier is a step forward; the same one again is no step. */
function age({ certificate, position }: Placed, { inPlace }: Examination): Finding {
  if (inPlace === undefined || inPlace.fingerprint === certificate.fingerprint) return FINE
  const older = certificate.notBefore < inPlace.notBefore && certificate.notAfter <= inPlace.notAfter
  return older ? refuse(reason('older-than-in-place', `The one in place began ${inPlace.notBefore.toISOString()}.`, position)) : FINE
}

function judgeChain(leaf: Placed, { placed, anchors, known }: Read, question: Examination): Finding & { readonly chain: readonly Certificate[] } {
  const { accept, now, clockSkewMs, maxAuthorities } = question
  const positions = new Map(placed.map(({ certificate, position }) => [certificate, position]))
  const others = placed.filter((other) => other !== leaf).map(({ certificate }) => certificate)
  const strangers = unrelated(leaf.certificate, others, anchors).map((certificate) =>
    reason('unrelated-certificate', describe(certificate), positions.get(certificate)),
  )
  const answer = findChain({
    leaf: leaf.certificate,
    others,
    now,
    known,
    profileOf: profileOf(question),
    ...(clockSkewMs === undefined ? {} : { clockSkewMs }),
    ...(maxAuthorities === undefined ? {} : { maxAuthorities }),
    ...(anchors === undefined ? {} : { anchors }),
  })
  if (answer.faults !== undefined) {
    const faults = answer.faults.map(({ reason: found, certificate }) => located(found, certificate, positions))
    return { chain: [], refusals: [...faults, ...strangers], warnings: [] }
  }
  if (strangers.length > 0 && !answer.lone) return { chain: [], refusals: strangers, warnings: [] }
  if (!answer.lone) return { chain: answer.chain, ...FINE }
  const issuer = `The issuer is ${leaf.certificate.issuer.text}.`
  if (strangers.length > 0 || !accept.includes('lone-leaf'))
    return { chain: [], refusals: [reason('missing-intermediate', issuer, leaf.position), ...strangers], warnings: [] }
  return { chain: answer.chain, ...warn(reason('lone-leaf', `${issuer} Clients connect only where they know it.`, leaf.position)) }
}

function located(found: Reason, certificate: Certificate, positions: ReadonlyMap<Certificate, Position>): Reason {
  const position = positions.get(certificate)
  const message = `${found.message} ${describe(certificate)}`
  return position === undefined ? { ...found, message } : { ...found, message, position }
}

function describe({ subject }: Certificate): string {
  return `The certificate is that of ${subject.text === '' ? 'nobody in particular' : subject.text}.`
}

function distinct(reasons: readonly Reason[]): Reason[] {
  const seen = new Set<string>()
  return reasons.filter(({ code, message }) => !seen.has(code + message) && seen.add(code + message))
}
