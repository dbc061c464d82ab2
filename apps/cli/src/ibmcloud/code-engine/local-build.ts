import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ApiFailure, type CodeEngine, createCodeEngine, path } from '@everleaf/clients'
import { orMissing } from '../../ensure.ts'
import type { Context } from '../context.ts'
import type { Flag, Given } from '../grammar.ts'
import { Failed, WrongUse } from '../wrong-use.ts'
import { NO_REPOSITORY, repositoryIn } from './repository.ts'
import { withoutUndefined } from './run-settings.ts'
import { type Change, check, inProject, type Item, projectOf, say, send, V2, waitFor, waiting } from './scope.ts'
import { sourceFolder } from './source-folder.ts'

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

/** Whose image is built, and as what it stood before, where it is changed. */
type Of = { readonly kind: 'app' | 'job'; readonly name: string; readonly before?: Item }

/**
 * Makes or changes an app or a job. Where `--build-source` or `--rebuild` asks for a build, the platform checks the change first: what it would
 * refuse is refused before anything is sent or built, and leaves nothing. Throws Failed when the source does not build.
 */
export async function sendBuilt(context: Context, given: Given, of: Of, change: Change): Promise<Item> {
  const plan = planned(context, given, of)
  if (plan === undefined) return send(context, given, change)
  const whole = plan.image === undefined ? change : { ...change, json: { ...change.json, image_reference: plan.image } }
  await check(context, whole)
  await build(context, given, plan)
  return send(context, given, whole)
}

/** Whether the options ask for a build. */
export function asksForBuild(given: Given): boolean {
  return given.has('build-source') || given.is('rebuild')
}

type Plan = {
  /** The build. */
  readonly name: string
  /** What is built, in words. */
  readonly what: string
  /** The image that is made; undefined where that is known to the build alone. */
  readonly image?: string
  /** What the build is told; undefined where it goes on with what it was told before. */
  readonly settings?: Item
  readonly folder?: string
}

/** Throws WrongUse and Failed. */
function planned(context: Context, given: Given, of: Of): Plan | undefined {
  const { kind, name } = of
  const source = given.text('build-source')
  const git = repositoryIn(given, OPTIONS)
  if (source === undefined) return given.is('rebuild') ? again(given, of) : undefined
  const [image, build] = [given.text('image') ?? `private.everleaf/${kind}-${name}`, `${kind}-${name}`]
  if (git !== undefined) {
    const strategy = given.text('build-strategy') ?? (given.has('build-dockerfile') ? 'dockerfile' : 'buildpacks')
    return { name: build, what: source, image, settings: { ...settingsOf(given, { image, strategy }), ...git } }
  }
  const folder = sourceFolder({ source, contextDir: given.text('build-context-dir'), option: 'build-source' })
  const settings = { ...settingsOf(given, { image, strategy: strategyOf(context, given, folder) }), source_type: 'local' }
  return { name: build, what: folder, image, settings, folder }
}

function again(given: Given, { kind, name, before }: Of): Plan {
  if (given.has('image')) throw new WrongUse('--rebuild and --image contradict each other: the image is the one of the build.')
  if (typeof before?.build !== 'string')
    throw new Failed(
      `The ${kind} ${name} was not built here: there is nothing to build again.\nGive --build-source the folder or the repository with its source.`,
    )
  return { name: before.build, what: `the ${kind} ${name}` }
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
    screen.remark(`The Dockerfile of ${folder} is not used: Everleaf builds by the language's own tools, as with --build-strategy buildpacks.`)
  return 'buildpacks'
}

async function build(context: Context, given: Given, plan: Plan): Promise<void> {
  const { world, base, auth } = context
  const { name, what, settings } = plan
  const codeEngine = createCodeEngine({ world, url: base + V2, auth })
  if (settings !== undefined) await prepare(context, given, { ...plan, settings }, codeEngine)
  const run = await codeEngine.createBuildRun(projectOf(context), { build_name: name })
  say(context, given, `Submitting build run '${run.name}'...`)
  if (!waiting(given, true).wait) return
  const built = await runEnded(context, given, { name: run.name, limitMs: (given.whole('build-timeout') ?? 600) * 1_000 })
  if (built.status === 'failed') {
    const { reason, message } = (built.status_details ?? {}) as { reason?: string; message?: string }
    throw new Failed(
      `The build of ${what} failed: ${message ?? reason ?? 'no reason given'}\nSee what it wrote: ibmcloud ce buildrun logs -n ${run.name}\nMend the source, and type the command again.`,
    )
  }
  say(context, given, `Build run completed successfully.`)
}

/** Waits until a build run is over, and tells how it is meanwhile. */
export async function runEnded(context: Context, given: Given, { name, limitMs }: { name: string; limitMs: number }): Promise<Item> {
  return waitFor(context, {
    tell: (text) => say(context, given, text),
    what: `The build run ${name}`,
    limitMs,
    next: `ibmcloud ce buildrun get -n ${name}`,
    ask: () => context.api(V2).get<Item>(inProject(context, path`/build_runs/${name}`)),
    isDone: ({ status }) => status === 'succeeded' || status === 'failed',
  })
}

/** Packs a folder as it is sent. */
export async function packed(context: Context, given: Given, folder: string): Promise<Uint8Array> {
  say(context, given, `Packaging files to upload from source path '${folder}'...`)
  const { archiveOf } = await import('../../source-archive.ts')
  return archiveOf(folder)
}

/** Makes or changes the build and sends its source. A build that this made is taken back where its run would be refused. */
async function prepare(context: Context, given: Given, { name, settings, folder }: Plan & { settings: Item }, codeEngine: CodeEngine): Promise<void> {
  const project = projectOf(context)
  const known = await orMissing(codeEngine.getBuild(project, name))
  if (known === undefined) await send(context, given, { method: 'POST', at: inProject(context, '/builds'), json: { name, ...settings } })
  let archive: Uint8Array | undefined
  try {
    await checkRun(context, { ...(known === undefined ? {} : NO_REPOSITORY), ...settings, build_name: name })
    if (folder !== undefined) archive = await packed(context, given, folder)
  } catch (error) {
    if (known === undefined) await codeEngine.deleteBuild(project, name)
    throw error
  }
  if (known !== undefined) await codeEngine.updateBuild(project, name, { json: { ...NO_REPOSITORY, ...settings }, ifMatch: known.entity_tag })
  if (archive !== undefined) await codeEngine.uploadBuildSource(project, name, archive)
}

/** Throws ApiFailure where a run of the build would be refused, for another reason than that its source has not been sent yet. */
async function checkRun(context: Context, json: Item): Promise<void> {
  try {
    await check(context, { method: 'POST', at: inProject(context, '/build_runs'), json })
  } catch (error) {
    if (!isWithoutSource(error)) throw error
  }
}

/** Whether a build cannot run because nothing was sent to it: the only conflict that there is. */
export function isWithoutSource(error: unknown): boolean {
  return error instanceof ApiFailure && error.status === 409 && error.code === 'conflict'
}
