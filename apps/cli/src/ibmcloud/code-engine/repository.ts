import type { Given } from '../grammar.ts'
import { WrongUse } from '../wrong-use.ts'
import { withoutUndefined } from './run-settings.ts'
import type { Item } from './scope.ts'

/** Names of the options that say which repository, and what of it. */
export type Options = { readonly source: string; readonly contextDir: string; readonly commit: string; readonly secret: string }

/** Whether a source is a repository and no folder: a URL, or `user@host:path`. */
export function isRepository(source: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(source) || /^[^/\s]+@[^/\s]+:/.test(source)
}

/** What a build from git is told; undefined where the source is a folder, or none is named. Throws WrongUse on options that go with git alone. */
export function repositoryIn(given: Given, options: Options): Item | undefined {
  const { source, commit, secret } = options
  const from = given.text(source)
  if (from !== undefined && isRepository(from)) return { source_type: 'git', source_url: from, ...partIn(given, options) }
  for (const name of [commit, secret])
    if (given.has(name)) throw new WrongUse(`--${name} goes with a repository: --${source} https://HOST/PATH, or --${source} git@HOST:PATH.`)
  return undefined
}

/** What of a repository is meant, as far as the options say. */
export function partIn(given: Given, { contextDir, commit, secret }: Options): Item {
  return withoutUndefined({ source_revision: given.text(commit), source_context_dir: given.text(contextDir), source_secret: given.text(secret) })
}

/** Takes away from a build what was said of a repository. */
export const NO_REPOSITORY = { source_url: null, source_revision: null, source_context_dir: null, source_secret: null }
