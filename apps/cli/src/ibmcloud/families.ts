import type { Family } from './grammar.ts'

type Entry = { readonly names: readonly string[]; load(): Promise<Family> }

// One module for each, loaded when its word is typed: a command starts in little more than an empty program's time.
const ENTRIES: readonly Entry[] = [
  { names: [''], load: async () => (await import('./core/family.ts')).family },
  { names: ['iam'], load: async () => (await import('./iam/family.ts')).family },
  { names: ['plugin'], load: async () => (await import('./plugin/family.ts')).family },
  { names: ['resource'], load: async () => (await import('./resource/family.ts')).family },
  { names: ['code-engine', 'ce'], load: async () => (await import('./code-engine/family.ts')).family },
  { names: ['cos'], load: async () => (await import('./object-storage/family.ts')).family },
  { names: ['event-notifications', 'en'], load: async () => (await import('./event-notifications/family.ts')).family },
  { names: ['secrets-manager', 'sm'], load: async () => (await import('./secrets-manager/family.ts')).family },
]

/** The words that begin a family, for suggestions. */
export const FAMILY_WORDS: readonly string[] = ENTRIES.flatMap(({ names }) => names).filter((name) => name !== '')

/** The family that a word begins; that of the bare commands otherwise. */
export async function familyOf(word: string | undefined): Promise<{ family: Family; used: number }> {
  const entry = ENTRIES.find(({ names }) => word !== undefined && word !== '' && names.includes(word))
  return entry === undefined ? { family: (await import('./core/family.ts')).family, used: 0 } : { family: await entry.load(), used: 1 }
}

export async function allFamilies(): Promise<Family[]> {
  return Promise.all(ENTRIES.map(({ load }) => load()))
}
