import { type Command, type Family, findCommand } from './grammar.ts'

type Entry = {
  readonly names: readonly string[]
  load(): Promise<Family>
  /** The commands of one noun alone, in a family of many modules. */
  readonly parts?: Readonly<Record<string, () => Promise<readonly Command[]>>>
}

const apps = async () => (await import('./code-engine/apps.ts')).appCommands
const jobs = async () => (await import('./code-engine/jobs.ts')).jobCommands
const projects = async () => (await import('./code-engine/projects.ts')).projectCommands
const data = async () => (await import('./code-engine/secrets.ts')).dataCommands

// One module for each, loaded when its word is typed: a command starts in little more than an empty program's time.
const ENTRIES: readonly Entry[] = [
  { names: [''], load: async () => (await import('./core/family.ts')).family },
  { names: ['iam'], load: async () => (await import('./iam/family.ts')).family },
  { names: ['plugin'], load: async () => (await import('./plugin/family.ts')).family },
  { names: ['resource'], load: async () => (await import('./resource/family.ts')).family },
  {
    names: ['code-engine', 'ce'],
    load: async () => (await import('./code-engine/family.ts')).family,
    parts: {
      ...{ application: apps, app: apps, job: jobs, jobrun: jobs, jr: jobs },
      ...{ project: projects, proj: projects, secret: data, configmap: data, cm: data },
    },
  },
  { names: ['cos'], load: async () => (await import('./object-storage/family.ts')).family },
  { names: ['event-notifications', 'en'], load: async () => (await import('./event-notifications/family.ts')).family },
  { names: ['secrets-manager', 'sm'], load: async () => (await import('./secrets-manager/family.ts')).family },
]

/** The words that begin a family, for suggestions. */
export const FAMILY_WORDS: readonly string[] = ENTRIES.flatMap(({ names }) => names).filter((name) => name !== '')

/** The family that the first word begins, or as much of it as holds the command; that of the bare commands otherwise. */
export async function familyOf([word, ...rest]: readonly string[]): Promise<{ family: Family; used: number }> {
  const entry = ENTRIES.find(({ names }) => word !== undefined && word !== '' && names.includes(word))
  if (entry === undefined) return { family: (await import('./core/family.ts')).family, used: 0 }
  const part = Object.hasOwn(entry.parts ?? {}, rest[0] ?? '') ? await entry.parts?.[rest[0] ?? '']?.() : undefined
  const family = { name: entry.names[0] ?? '', synonyms: entry.names.slice(1), about: '', commands: part ?? [], absent: [] }
  return { family: findCommand(family, rest) === undefined ? await entry.load() : family, used: 1 }
}

export async function allFamilies(): Promise<Family[]> {
  return Promise.all(ENTRIES.map(({ load }) => load()))
}
