import { createCodeEngine, path } from '@everleaf/clients'
import type { Context } from '../context.ts'
import type { Command, Flag, Given } from '../grammar.ts'
import { facts, table } from '../table.ts'
import { Failed, WrongUse } from '../wrong-use.ts'
import { fact, statusFact } from './described.ts'
import { at, commonCommands, type Kind, made, read, spelled } from './kinds.ts'
import { isWithoutSource, packed, runEnded } from './local-build.ts'
import { isRepository, NO_REPOSITORY, partIn, repositoryIn } from './repository.ts'
import { withoutUndefined } from './run-settings.ts'
import { everyItem, inProject, type Item, NAME, OUTPUT, projectOf, say, send, V2, WAITING, waiting } from './scope.ts'
import { sourceFolder } from './source-folder.ts'

const BUILD: Kind = {
  words: ['build', 'bd'],
  title: 'build',
  segment: 'builds',
  kind: 'Build',
  columns: ['Status', 'Image', 'Build_Strategy'],
  row: (raw) => [raw.status, raw.output_image, raw.strategy_type],
  details: describeBuild,
}
const RUN: Kind = {
  words: ['buildrun', 'br'],
  title: 'build run',
  segment: 'build_runs',
  kind: 'BuildRun',
  columns: ['Status', 'Image', 'Build'],
  row: (raw) => [raw.status, raw.output_image, raw.build_name ?? ''],
  details: (_context, raw) =>
    `Build:   ${String(raw.build_name ?? '')}\n${commitOf(raw)}Image:   ${String(raw.output_image)}\nStatus:  ${String(raw.status)}${reasonOf(raw)}`,
}

async function describeBuild(context: Context, raw: Item): Promise<string> {
  const runs = await everyItem(context, inProject(context, '/build_runs'), { key: 'build_runs', query: { build_name: String(raw.name) } })
  const described = facts([
    fact('Build Type', raw.source_type),
    statusFact(raw),
    fact('Image', raw.output_image),
    fact('Registry Secret', raw.output_secret === 'none' ? undefined : raw.output_secret),
    fact('Build Strategy', raw.strategy_type),
    fact('Size', raw.strategy_size),
    fact('Timeout', raw.timeout),
    fact('Source', raw.source_url),
    fact('Commit', raw.source_revision),
    fact('Git Repo Secret', raw.source_secret),
    fact('Context Directory', raw.source_context_dir),
    fact('Dockerfile', raw.strategy_spec_file),
  ])
  if (runs.length === 0) return described
  const rows = runs.map((run) => [run.name, run.status, run.output_image, run.created_at].map((cell) => String(cell ?? '-')))
  return `${described}\n\nBuild Runs:\n${table(['Name', 'Status', 'Image', 'Created'], rows)}`
}

function commitOf(raw: Item): string {
  const { git_commit_sha: sha, git_branch_name: branch, git_commit_author: author } = (raw.status_details ?? {}) as Readonly<Record<string, string>>
  return sha === undefined ? '' : `Commit:  ${sha}${branch === undefined ? '' : ` of ${branch}`}${author === undefined ? '' : `, by ${author}`}\n`
}

function reasonOf(raw: Item): string {
  const { reason, message } = (raw.status_details ?? {}) as { reason?: string; message?: string }
  const said = message ?? reason
  return said === undefined || said === raw.status ? '' : ` (${said})`
}

const SOURCE: Flag = { name: 'source', synonyms: ['src'], value: 'FOLDER|URL', about: 'the folder or repository that is built' }
const CONTEXT_DIR: Flag = { name: 'context-dir', synonyms: ['cdr'], value: 'FOLDER', about: 'only this folder of the source' }
const OPTIONS = { source: 'source', contextDir: 'context-dir', commit: 'commit', secret: 'git-repo-secret' } as const
const GIT: readonly Flag[] = [
  { name: 'commit', synonyms: ['cm'], value: 'NAME', about: 'branch, tag or commit of the repository' },
  { name: 'git-repo-secret', synonyms: ['grs'], value: 'NAME', about: 'the secret with the key of a private repository' },
]
const SETTINGS: readonly Flag[] = [
  { name: 'image', short: 'i', value: 'IMAGE', about: 'the name of what is built' },
  { name: 'strategy', synonyms: ['str'], value: 'STRATEGY', about: 'buildpacks' },
  { name: 'size', synonyms: ['sz'], value: 'SIZE', about: 'small, medium, large, xlarge, xxlarge' },
  { name: 'timeout', synonyms: ['to'], value: 'SECONDS', about: 'no longer than this' },
  { name: 'dockerfile', synonyms: ['df'], value: 'FILE', about: 'the Dockerfile' },
  { name: 'registry-secret', synonyms: ['rs'], value: 'NAME', about: 'the secret that opens the registry' },
]

/** Throws WrongUse. */
function settingsOf(given: Given): Item {
  return withoutUndefined({
    output_image: given.text('image'),
    output_secret: given.text('registry-secret'),
    strategy_type: given.text('strategy'),
    strategy_size: given.text('size'),
    strategy_spec_file: given.text('dockerfile'),
    timeout: given.whole('timeout'),
  })
}

/** Throws WrongUse and Failed. */
function folderOf(given: Given): string | undefined {
  const source = given.text('source')
  if (source !== undefined && isRepository(source)) return undefined
  if (source === undefined) {
    if (given.has('context-dir')) throw new WrongUse('--context-dir goes with --source.')
    return undefined
  }
  return sourceFolder({ source, contextDir: given.text('context-dir'), option: 'source' })
}

async function upload(context: Context, given: Given, { name, folder }: { name: string; folder: string }): Promise<void> {
  const { world, base, auth } = context
  await createCodeEngine({ world, url: base + V2, auth }).uploadBuildSource(projectOf(context), name, await packed(context, given, folder))
}

const create: Command = {
  ...spelled(BUILD, 'create'),
  about: 'make a build of a repository, or of a folder, which is sent to it',
  flags: [
    NAME,
    { name: 'build-type', synonyms: ['bt'], value: 'TYPE', about: 'git or local; --source tells without it', oneOf: ['git', 'local'] },
    { ...SOURCE, about: 'the folder or repository that is built; a folder may be sent by `buildrun submit` too' },
    CONTEXT_DIR,
    ...GIT,
    ...SETTINGS,
    OUTPUT,
  ],
  async run(context, given) {
    const name = given.need('name')
    const git = repositoryIn(given, OPTIONS)
    requireType(given, git !== undefined)
    const folder = folderOf(given)
    say(context, given, `Creating build '${name}'...`)
    const json = {
      name,
      output_image: `private.everleaf/${name}`,
      output_secret: 'none',
      strategy_type: 'buildpacks',
      source_type: 'local',
      ...settingsOf(given),
      ...git,
    }
    const raw = await send(context, given, { method: 'POST', at: inProject(context, '/builds'), json })
    if (folder !== undefined) await upload(context, given, { name, folder })
    await made(context, BUILD, { raw, given })
  },
}

/** Throws WrongUse where `--build-type` and `--source` contradict each other. */
function requireType(given: Given, isGit: boolean): void {
  const type = given.text('build-type')
  if (type === 'git' && !isGit) throw new WrongUse('A build of type git names its repository: --source https://HOST/PATH. A folder is of type local.')
  if (type === 'local' && isGit) throw new WrongUse('A repository is of type git: leave --build-type out, or give --source a folder.')
}

const update: Command = {
  ...spelled(BUILD, 'update'),
  about: 'change a build, or what it builds',
  flags: [
    NAME,
    SOURCE,
    CONTEXT_DIR,
    ...GIT,
    { name: 'commit-clear', synonyms: ['cmc'], about: 'what the repository itself shows first' },
    { name: 'git-repo-secret-clear', synonyms: ['grsc'], about: 'no key' },
    ...SETTINGS,
    OUTPUT,
  ],
  async run(context, given) {
    const name = given.need('name')
    const before = await read(context, BUILD, name)
    const isGit = before.source_type === 'git' && !given.has('source')
    const [json, folder] = [{ ...settingsOf(given), ...sourceChange(given, isGit) }, isGit ? undefined : folderOf(given)]
    if (Object.keys(json).length === 0 && folder === undefined) throw new WrongUse('Say what is to change, such as --source FOLDER or --timeout SECONDS.')
    say(context, given, `Updating build '${name}'...`)
    const changed = Object.keys(json).length > 0
    const change = { method: 'PATCH', at: at(context, BUILD, name), json, ifMatch: String(before.entity_tag) } as const
    const raw = changed ? await send(context, given, change) : before
    if (folder !== undefined) await upload(context, given, { name, folder })
    await made(context, BUILD, { raw, given })
  },
}

/** What changes of a repository; `isGit` where the build has one that is not named anew. */
function sourceChange(given: Given, isGit: boolean): Item {
  const cleared = {
    ...(given.is('commit-clear') ? { source_revision: null } : {}),
    ...(given.is('git-repo-secret-clear') ? { source_secret: null } : {}),
  }
  if (isGit) return { ...partIn(given, OPTIONS), ...cleared }
  const git = repositoryIn(given, OPTIONS)
  if (git !== undefined) return { ...git, ...cleared }
  return given.has('source') ? { source_type: 'local', ...NO_REPOSITORY } : {}
}

const submit: Command = {
  ...spelled(RUN, 'submit'),
  about: 'run a build, or build a repository without one',
  flags: [
    { ...NAME, required: false, about: 'its name; one is made otherwise' },
    { name: 'build', short: 'b', value: 'NAME', about: 'the build' },
    { ...SOURCE, about: 'send this folder first, or build this repository' },
    CONTEXT_DIR,
    ...GIT,
    ...SETTINGS,
    ...WAITING,
    OUTPUT,
  ],
  async run(context, given) {
    const { wait, limitMs } = waiting(given, false)
    const build = given.text('build')
    const isGit = build !== undefined && !given.has('source') && (await read(context, BUILD, build)).source_type === 'git'
    const source = isGit ? sourceChange(given, true) : (repositoryIn(given, OPTIONS) ?? {})
    const folder = isGit ? undefined : folderOf(given)
    if (build === undefined && (source.source_url === undefined || !given.has('image')))
      throw new WrongUse('Say what is built: --build NAME, or --image IMAGE and --source https://HOST/PATH.')
    if (build !== undefined && folder !== undefined) await upload(context, given, { name: build, folder })
    const whole = build === undefined ? { output_secret: 'none', strategy_type: 'buildpacks' } : {}
    say(context, given, 'Submitting build run...')
    const json = withoutUndefined({ name: given.text('name'), build_name: build, ...whole, ...settingsOf(given), ...source })
    const submitted = await send(context, given, { method: 'POST', at: inProject(context, '/build_runs'), json }).catch((error: unknown) => {
      throw isWithoutSource(error)
        ? new Failed(`The build ${build} has no source yet.\nSend it with: ibmcloud ce buildrun submit --build ${build} --source FOLDER`)
        : error
    })
    const name = String(submitted.name)
    const raw = wait ? await runEnded(context, given, { name, limitMs }) : submitted
    const isFailed = wait && raw.status === 'failed'
    if (!isFailed || given.has('output')) await made(context, RUN, { raw, given })
    if (isFailed)
      throw new Failed(
        `The build run ${name} failed${reasonOf(raw)}.\nSee what it wrote: ibmcloud ce buildrun logs -n ${name}\nMend it, and type the command again.`,
      )
  },
}

const cancel: Command = {
  ...spelled(RUN, 'cancel'),
  about: 'end a build run, which has failed then',
  flags: [NAME],
  async run(context, given) {
    const name = given.need('name')
    context.screen.note(`Canceling build run '${name}'...`)
    await context.api(V2).post(inProject(context, path`/everleaf/build_runs/${name}/cancel`), {})
    context.screen.note('OK')
  },
}

const BY_BUILD: Flag = { name: 'build', short: 'b', value: 'NAME', about: 'only those of this build' }

export const buildCommands: readonly Command[] = [
  create,
  update,
  ...commonCommands(BUILD),
  submit,
  cancel,
  ...commonCommands(RUN, {
    list: [BY_BUILD],
    allOf: { ...BY_BUILD, about: 'all runs of this build' },
    query: (given) => (given.has('build') ? { build_name: given.need('build') } : {}),
  }),
]
