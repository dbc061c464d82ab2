import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createCodeEngine } from '@everleaf/clients'
import { orMissing } from '../../ensure.ts'
import type { Context } from '../context.ts'
import type { Flag, Given } from '../grammar.ts'
import { Failed } from '../wrong-use.ts'
import { repositoryIn } from './repository.ts'
import { withoutUndefined } from './run-settings.ts'
import { inProject, type Item, projectOf, say, send, V2, waitFor, waiting } from './scope.ts'

/** A build from a folder or a repository. */
export const BUILD: readonly Flag[] = [
  { name: 'build-source', synonyms: ['source', 'bsrc', 'src'], value: 'FOLDER|URL', about: 'build what is in a folder of this machine, or in a repository' },
  { name: 'build-strategy', synonyms: ['strategy', 'bstr', 'str'], value: 'STRATEGY', about: 'buildpacks, which is taken without it' },
  { name: 'build-size', synonyms: ['size', 'bsz', 'sz'], value: 'SIZE', about: 'small, medium, large, xlarge, xxlarge' },
  { name: 'build-timeout', synonyms: ['bto'], value: 'SECONDS', about: 'no longer than this' },
  { name: 'build-context-dir', synonyms: ['context-dir', 'bcdr', 'cdr'], value: 'FOLDER', about: 'only this folder of the source' },
  { name: 'build-commit', synonyms: ['commit', 'bcm', 'cm'], value: 'NAME', about: 'branch, tag or commit of the repository' },
  { name: 'build-git-repo-secret', synonyms: ['git-repo-secret', 'bgrs', 'grs'], value: 'NAME', about: 'the secret with the key of a private repository' },
  { name: 'build-dockerfile', synonyms: ['dockerfile', 'bdf', 'df'], value: 'FILE', about: 'the Dockerfile' },
]

const OPTIONS = { source: 'build-source', contextDir: 'build-context-dir', commit: 'build-commit', secret: 'build-git-repo-secret' } as const

/**
 * Builds what `--build-source` names; resolves with the image, undefined when none was given. With `--no-wait` the build goes on by itself.
 * Throws Failed when it does not build.
 */
export async function imageOf(context: Context, given: Given, of: { kind: 'app' | 'job'; name: string }): Promise<string | undefined> {
  const source = given.text('build-source')
  const git = repositoryIn(given, OPTIONS)
  if (source === undefined) return undefined
  const [image, name] = [given.text('image') ?? `private.everleaf/${of.kind}-${of.name}`, `${of.kind}-${of.name}`]
  if (git !== undefined) {
    const strategy = given.text('build-strategy') ?? (given.has('build-dockerfile') ? 'dockerfile' : 'buildpacks')
    await build(context, given, { name, what: source, settings: { ...settingsOf(given, { image, strategy }), ...git } })
    return image
  }
  const folder = join(source, given.text('build-context-dir') ?? '')
  if (!existsSync(folder)) throw new Failed(`There is no folder ${folder}.\nGive --build-source the folder with the source.`)
  const settings = { ...settingsOf(given, { image, strategy: strategyOf(context, given, folder) }), source_type: 'local' }
  await build(context, given, { name, what: folder, settings, folder })
  return image
}

function settingsOf(given: Given, { image, strategy }: { image: string; strategy: string }): Item {
  return withoutUndefined({
    output_image: image,
    output_secret: 'none',
    strategy_type: strategy,
    strategy_size: given.text('build-size'),
    strategy_spec_file: given.text('build-dockerfile'),
    timeout: given.whole('build-timeout'),
  })
}

/** IBM's command line takes a Dockerfile where nothing is said: here the folder is built by its language's own tools then, which is said. */
function strategyOf({ screen }: Context, given: Given, folder: string): string {
  const said = given.text('build-strategy')
  if (said !== undefined) return said
  if (given.has('build-dockerfile')) return 'dockerfile'
  if (existsSync(join(folder, 'Dockerfile')))
    screen.warn(`The Dockerfile of ${folder} is not used: Everleaf builds by the language's own tools, as with --build-strategy buildpacks.`)
  return 'buildpacks'
}

/** What an earlier build may have said of a repository, and this one does not. */
const NO_GIT = { source_url: null, source_revision: null, source_context_dir: null, source_secret: null }

type Build = { readonly name: string; readonly what: string; readonly settings: Item; readonly folder?: string }

async function build(context: Context, given: Given, { name, what, settings, folder }: Build): Promise<void> {
  const { world, base, auth } = context
  const project = projectOf(context)
  const codeEngine = createCodeEngine({ world, url: base + V2, auth })
  if (folder !== undefined) say(context, given, `Packaging files to upload from source path '${folder}'...`)
  const archive = folder === undefined ? undefined : await (await import('../../source-archive.ts')).archiveOf(folder)
  const known = await orMissing(codeEngine.getBuild(project, name))
  if (known === undefined) await send(context, 'POST', { at: inProject(context, '/builds'), json: { name, ...settings } })
  else await codeEngine.updateBuild(project, name, { json: { ...NO_GIT, ...settings }, ifMatch: known.entity_tag })
  if (archive !== undefined) await codeEngine.uploadBuildSource(project, name, archive)
  const run = await codeEngine.createBuildRun(project, { build_name: name })
  say(context, given, `Submitting build run '${run.name}'...`)
  if (!waiting(given, true).wait) return
  const built = await waitFor(context, {
    tell: (text) => say(context, given, text),
    what: `The build run ${run.name}`,
    limitMs: (given.whole('build-timeout') ?? 600) * 1_000,
    next: `ibmcloud ce buildrun get -n ${run.name}`,
    ask: async () => (await codeEngine.getBuildRun(project, run.name)) as Item,
    isDone: ({ status }) => status === 'succeeded' || status === 'failed',
  })
  if (built.status === 'failed') {
    const { reason, message } = (built.status_details ?? {}) as { reason?: string; message?: string }
    throw new Failed(`The build of ${what} failed: ${message ?? reason ?? 'no reason given'}\nMend the source, and type the command again.`)
  }
  say(context, given, `Build run completed successfully.`)
}
