import { type Certificate, isSelfSigned, isSignedBy } from './certificate.ts'
import { CLOCK_SKEW_MS, issuerFaults } from './certificate-rules.ts'
import { type Budget, forbiddenName } from './name-constraints.ts'
import { sameName } from './names.ts'
import { type Reason, type ReasonCode, reason } from './reasons.ts'
import { type Place, webFaults } from './web-rules.ts'

/** A reason, and the certificate it speaks of. */
interface ChainFault {
  readonly reason: Reason
  readonly certificate: Certificate
}

export interface ChainQuestion {
  readonly leaf: Certificate
  /** The other certificates of the bundle, without duplicates, in any order. */
  readonly others: readonly Certificate[]
  /** Roots by the subject that a certificate names as issuer. Absent: a chain is judged up to its own last certificate. */
  readonly anchors?: (certificate: Certificate) => readonly Certificate[]
  readonly now: Date
  /** Default 5 minutes. */
  readonly clockSkewMs?: number
  /** How many authorities that are not self-issued may stand between leaf and root. Default: as many as they themselves allow. */
  readonly maxAuthorities?: number
  /** What was checked before, where the same bundle is asked about again. */
  readonly known?: KnownChecks
  /** Whose profile is asked for besides what every client insists on. Default: nobody's. */
  readonly profileOf?: readonly Place[]
}

export type ChainAnswer =
  | {
      /** From the leaf up, without the root. */
      readonly chain: readonly Certificate[]
      /** The leaf came without any issuer, and is not self-signed: only an option lets it through. */
      readonly lone: boolean
      readonly faults?: undefined
    }
  | { readonly faults: readonly ChainFault[]; readonly chain?: undefined }

// A bundle has at most ten certificates; an honest one needs fewer than ten steps, a hostile one could ask for millions.
const MAX_STEPS = 200
const MAX_COMPARISONS = 250_000
// Public roots share a subject at most twice.
const MAX_ANCHORS_TRIED = 8

/**
 * The shortest valid chain from the leaf upwards.
 * A certificate is an issuer of another where its subject is the other's issuer and the signature fits: names alone are not enough, since an
 * authority may change its key and keep its name. A candidate of another key identifier whose signature does not fit is such a
 * predecessor and no fault; any other one is a broken signature.
 */
export function findChain(question: ChainQuestion): ChainAnswer {
  const search = startSearch(question.known)
  const queue: Path[] = [[question.leaf]]
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    const path = queue.shift()
    if (path === undefined) return { faults: search.faults }
    const step = extend(path, question, search)
    if (step.done) return { chain: path, lone: path.length === 1 && !search.selfSigned(question.leaf) && question.anchors === undefined && step.open }
    queue.push(...step.longer)
    if (search.budget.comparisons < 0) break
  }
  return { faults: [{ reason: reason('too-complex'), certificate: question.leaf }] }
}

/** The certificates that no issuer name leads to from the leaf, also by way of trusted ones. */
export function unrelated(leaf: Certificate, others: readonly Certificate[], anchors: ChainQuestion['anchors'] = () => []): Certificate[] {
  const related = new Set<Certificate>([leaf])
  for (const certificate of related) {
    for (const other of others) if (sameName(other.subject, certificate.issuer)) related.add(other)
    for (const anchor of anchors(certificate)) related.add(anchor)
  }
  return others.filter((other) => !related.has(other))
}

type Path = readonly Certificate[]
type Step = { readonly done: true; readonly open: boolean } | { readonly done: false; readonly longer: readonly Path[] }

/** Checks that cost arithmetic, each made once. They hold for one instant: a question's `now`. */
export interface KnownChecks {
  readonly selfSigned: (certificate: Certificate) => boolean
  readonly signedBy: (certificate: Certificate, issuer: Certificate) => boolean
  readonly issuerFaults: typeof issuerFaults
}

interface Search extends KnownChecks {
  readonly faults: ChainFault[]
  readonly budget: Budget
}

function startSearch(known = rememberChecks()): Search {
  return { ...known, faults: [], budget: { comparisons: MAX_COMPARISONS } }
}

/** The checks of one bundle at one instant. */
export function rememberChecks(): KnownChecks {
  const signatures = new Map<string, boolean>()
  const faults = new Map<string, Reason[]>()
  return {
    selfSigned: (certificate) => remember(signatures, certificate.fingerprint, () => isSelfSigned(certificate)),
    signedBy: (certificate, issuer) => remember(signatures, certificate.fingerprint + issuer.fingerprint, () => isSignedBy(certificate, issuer)),
    issuerFaults: (certificate, options) => remember(faults, certificate.fingerprint, () => issuerFaults(certificate, options)),
  }
}

function remember<Found>(known: Map<string, Found>, key: string, find: () => Found): Found {
  const found = known.get(key) ?? find()
  known.set(key, found)
  return found
}

/** Looks for issuers of the last certificate of a path: the path is finished, or goes on in `longer`. */
function extend(path: Path, question: ChainQuestion, search: Search): Step {
  const last = path.at(-1) ?? question.leaf
  if (question.anchors !== undefined && isAnchored(path, question, search)) return { done: true, open: false }
  if (search.selfSigned(last)) return end(path, question, search, { open: false })
  const named = question.others.filter((other) => sameName(other.subject, last.issuer))
  const signers = named.filter((other) => search.signedBy(last, other))
  const issuers = signers.filter((other) => !path.some((member) => isSameAuthority(member, other)))
  if (issuers.length === 0) {
    // A circle of authorities that signed each other ends where it would begin again.
    if (signers.length > 0 || !named.some((other) => couldBeIssuer(last, other))) return end(path, question, search, { open: true })
    fault(search, 'broken-signature', last)
    return { done: false, longer: [] }
  }
  const valid = issuers.filter((issuer) => isValidIssuer(issuer, path, question, search))
  if (question.anchors === undefined && valid.some(search.selfSigned)) return { done: true, open: false }
  return { done: false, longer: valid.map((issuer) => [...path, issuer]) }
}

function end(path: Path, question: ChainQuestion, search: Search, { open }: { open: boolean }): Step {
  if (question.anchors === undefined) return { done: true, open }
  fault(search, 'untrusted', path.at(-1) ?? question.leaf)
  return { done: false, longer: [] }
}

function isAnchored(path: Path, question: ChainQuestion, search: Search): boolean {
  const last = path.at(-1) ?? question.leaf
  const anchors = question.anchors?.(last) ?? []
  // A self-signed leaf that was itself given as trusted is its own chain.
  if (anchors.some(({ fingerprint }) => fingerprint === last.fingerprint)) return true
  return anchors.slice(0, MAX_ANCHORS_TRIED).some((anchor) => search.signedBy(last, anchor) && isValidIssuer(anchor, path, question, search))
}

function isValidIssuer(issuer: Certificate, path: Path, question: ChainQuestion, search: Search): boolean {
  const root = search.selfSigned(issuer)
  const { now, clockSkewMs = CLOCK_SKEW_MS, maxAuthorities = Number.POSITIVE_INFINITY, profileOf = [] } = question
  const place = root ? 'root' : 'authority'
  const own = [...search.issuerFaults(issuer, { now, root, clockSkewMs }), ...(profileOf.includes(place) ? webFaults(issuer, place) : [])]
  for (const found of own) search.faults.push({ reason: found, certificate: issuer })
  // RFC 5280: authorities that carry a name on to a new key (self-issued) do not count.
  const authoritiesBelow = path.slice(1).filter((member) => !member.selfIssued).length
  const tooLong = authoritiesBelow > Math.min(issuer.basicConstraints?.pathLength ?? Number.POSITIVE_INFINITY, maxAuthorities)
  if (tooLong) fault(search, 'path-too-long', issuer)
  const forbidden = path.filter((member, i) => i === 0 || !member.selfIssued).find((member) => forbiddenName(member, issuer, search.budget) !== undefined)
  if (forbidden !== undefined) fault(search, 'name-constraint', forbidden)
  return own.length === 0 && !tooLong && forbidden === undefined
}

function fault(search: Search, code: ReasonCode, certificate: Certificate): void {
  search.faults.push({ reason: reason(code), certificate })
}

function couldBeIssuer(certificate: Certificate, candidate: Certificate): boolean {
  return certificate.authorityKeyId === undefined || candidate.subjectKeyId === undefined || certificate.authorityKeyId === candidate.subjectKeyId
}

/** The same name with the same key: going through it twice leads in a circle. */
function isSameAuthority(a: Certificate, b: Certificate): boolean {
  return sameName(a.subject, b.subject) && Buffer.compare(a.spki, b.spki) === 0
}
