import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Authority, Issued, KeyAlgorithm } from '@everleaf/pki/issue'
import { type World, writeDurably } from '@everleaf/world'

const DAY_MS = 24 * 60 * 60 * 1_000
const AUTHORITY_DAYS = 3_650
const LEAF_DAYS = 90

/** A little certificate authority of the demo's own: root, intermediate, and leaves as a public one would issue them. */
export type DemoAuthority = {
  readonly root: string
  readonly intermediate: string
  issue(names: readonly string[], algorithm: KeyAlgorithm): Promise<Issued>
}

type Clock = Pick<World, 'now' | 'validFrom'>
const clock = (world: Clock) => ({ now: world.now(), from: world.validFrom() })

type Kept = { readonly root: string; readonly intermediate: Omit<Authority, 'notBefore' | 'notAfter'> & { notBefore: string; notAfter: string } }

/** Opens the authority kept in `folder` (0600), or makes it. The root's key is never kept. */
export async function openDemoAuthority(folder: string, world: Clock): Promise<DemoAuthority> {
  const file = join(folder, 'authority.json')
  const { issueLeaf } = await import('@everleaf/pki/issue')
  const kept = read(file) ?? (await make(file, world))
  const authority: Authority = { ...kept.intermediate, notBefore: new Date(kept.intermediate.notBefore), notAfter: new Date(kept.intermediate.notAfter) }
  return {
    root: kept.root,
    intermediate: authority.certificate,
    issue: (names, algorithm) => issueLeaf({ authority, names, ...clock(world), lifeMs: LEAF_DAYS * DAY_MS, algorithm }),
  }
}

async function make(file: string, world: Clock): Promise<Kept> {
  const { createAuthority } = await import('@everleaf/pki/issue')
  const common = { ...clock(world), algorithm: 'ecdsa' } as const
  const root = await createAuthority({ ...common, name: 'Everleaf demo root', lifeMs: AUTHORITY_DAYS * DAY_MS })
  const made = await createAuthority({ ...common, name: 'Everleaf demo intermediate', lifeMs: (AUTHORITY_DAYS - 1) * DAY_MS, parent: root })
  const kept: Kept = { root: root.certificate, intermediate: { ...made, notBefore: made.notBefore.toISOString(), notAfter: made.notAfter.toISOString() } }
  mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 })
  writeDurably(file, JSON.stringify(kept), 0o600)
  return kept
}

function read(file: string): Kept | undefined {
  try {
    const kept = JSON.parse(readFileSync(file, 'utf8')) as Partial<Kept> | null
    return typeof kept?.root === 'string' && typeof kept.intermediate?.certificate === 'string' ? (kept as Kept) : undefined
  } catch {
    // Not there, or damaged: a new authority is as good.
    return undefined
  }
}
