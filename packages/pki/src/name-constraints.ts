import type { Certificate } from './certificate.ts'
import { readDer } from './der.ts'
import { type GeneralName, type GeneralNameKind, readName } from './names.ts'

/** How many comparisons of names with constraints are left; hostile bundles ask for millions. */
export interface Budget {
  comparisons: number
}

/** The first name of `certificate` that the name constraints of `issuer` forbid (RFC 5280 §4.2.1.10); undefined where all are allowed. */
export function forbiddenName(certificate: Certificate, issuer: Certificate, budget: Budget): string | undefined {
  const constraints = issuer.nameConstraints
  if (constraints === undefined) return undefined
  const permittedByKind = byKind(constraints.permitted)
  const excludedByKind = byKind(constraints.excluded)
  for (const name of constrainedNames(certificate)) {
    const permitted = permittedByKind.get(name.kind) ?? []
    const excluded = excludedByKind.get(name.kind) ?? []
    if (permitted.length + excluded.length === 0) continue
    budget.comparisons -= permitted.length + excluded.length
    const fits = RULES[name.kind]
    if (fits === undefined || budget.comparisons < 0) return name.value
    if (permitted.length > 0 && !permitted.some((base) => fits(name, base, false))) return name.value
    if (excluded.some((base) => fits(name, base, true))) return name.value
  }
  return undefined
}

function byKind(names: readonly GeneralName[]): Map<GeneralNameKind, Constrained[]> {
  const kinds = new Map<GeneralNameKind, Constrained[]>()
  for (const name of names) {
    const known = kinds.get(name.kind) ?? []
    // A directory name is read once here, not once for each name that is compared with it.
    known.push(name.kind === 'directory' ? { ...name, key: readName(readDer(name.raw)).key } : name)
    kinds.set(name.kind, known)
  }
  return kinds
}

type Constrained = GeneralName & { readonly key?: readonly string[] }

// Clients that still read the common name as a host must find it constrained too.
function constrainedNames(certificate: Certificate): Constrained[] {
  const { altNames = [], subject } = certificate
  const asHost = altNames.length === 0 && subject.commonName !== undefined ? [{ kind: 'dns', value: subject.commonName, raw: EMPTY } as const] : []
  const asDirectory = subject.key.length === 0 ? [] : [{ kind: 'directory', value: subject.text, raw: EMPTY, key: subject.key } as const]
  const isAuthority = certificate.basicConstraints?.ca === true
  return [...altNames, ...(isAuthority ? [] : asHost), ...asDirectory]
}

const EMPTY = new Uint8Array()

type Rule = (name: Constrained, base: Constrained, forExclusion: boolean) => boolean

const RULES: Readonly<Partial<Record<GeneralNameKind, Rule>>> = {
  dns: (name, base, forExclusion) => dnsFits(name.value.toLowerCase(), base.value.toLowerCase(), forExclusion),
  ip: (name, base) => ipFits(name.raw, base.raw),
  email: (name, base) => emailFits(name.value, base.value),
  uri: (name, base) => uriFits(name.value, base.value.toLowerCase()),
  directory: directoryFits,
}

function dnsFits(name: string, base: string, forExclusion: boolean): boolean {
  if (base === '') return true
  const wildcard = name.startsWith('*.')
  const bare = wildcard ? name.slice(2) : name
  // A wildcard also stands for names that are excluded one label further down.
  if (wildcard && forExclusion && base.endsWith(`.${bare}`)) return true
  return isBelow(bare, base)
}

function isBelow(name: string, base: string): boolean {
  return base.startsWith('.') ? name.endsWith(base) : name === base || name.endsWith(`.${base}`)
}

function ipFits(address: Uint8Array, range: Uint8Array): boolean {
  const size = address.length
  if (range.length !== size * 2) return false
  return address.every((byte, i) => {
    const mask = range[size + i] ?? 0
    return (byte & mask) === ((range[i] ?? 0) & mask)
  })
}

function emailFits(mailbox: string, base: string): boolean {
  const at = mailbox.lastIndexOf('@')
  const host = mailbox.slice(at + 1).toLowerCase()
  if (base.includes('@')) {
    const baseAt = base.lastIndexOf('@')
    return mailbox.slice(0, at) === base.slice(0, baseAt) && host === base.slice(baseAt + 1).toLowerCase()
  }
  return base.startsWith('.') ? host.endsWith(base.toLowerCase()) : host === base.toLowerCase()
}

function uriFits(uri: string, base: string): boolean {
  const host = (URL.canParse(uri) && new URL(uri).hostname) || ''
  return host !== '' && (base.startsWith('.') ? host.endsWith(base) : host === base)
}

function directoryFits(name: Constrained, base: Constrained): boolean {
  const key = name.key ?? readName(readDer(name.raw)).key
  return base.key?.every((part, i) => part === key[i]) === true
}
