import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createCodeEngine, path } from '@everleaf/clients'
import type { Context } from '../context.ts'
import type { Command, Flag, Given } from '../grammar.ts'
import { Failed, WrongUse } from '../wrong-use.ts'
import { at, commonCommands, type Kind, made, read, spelled } from './kinds.ts'
import { withoutUndefined } from './run-settings.ts'
import { inProject, type Item, NAME, OUTPUT, projectOf, say, send, V2, waitFor, WAITING, waiting } from './scope.ts'

const BUILD: Kind = {
  words: ['build', 'bd'],
  title: 'build',
  segment: 'builds',
  kind: 'Build',
  columns: ['Status', 'Image', 'Build_Strategy'],
  row: (raw) => [raw.status, raw.output_image, raw.strategy_type],
}
const RUN: Kind = {
  words: ['buildrun', 'br'],
  title: 'build run',
  segment: 'build_runs',
  kind: 'BuildRun',
  columns: ['Status', 'Image', 'Build'],
  row: (raw) => [raw.status, raw.output_image, raw.build_name],
  details: (_context, raw) => `Build:   ${String(raw.build_name)}\nImage:   ${String(raw.output_image)}\nStatus:  ${String(raw.status)}${reasonOf(raw)}`,
}

function reasonOf(raw: Item): string {
  const { reason, message } = (raw.status_details ?? {}) as { reason?: string; message?: string }
  const said = message ?? reason
  return said === undefined ? '' : ` (${said})`
}

const SOURCE: Flag = { name: 'source', synonyms: ['src'], value: 'FOLDER', about: 'what is built' }
const CONTEXT_DIR: Flag = { name: 'context-dir', synonyms: ['cdr'], value: 'FOLDER', about: 'only this folder of the source' }
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

/** Throws Failed where there is no such folder. */
function folderOf(given: Given): string | undefined {
  const source = given.text('source')
  if (source === undefined) {
    if (given.has('context-dir')) throw new WrongUse('--context-dir goes with --source.')
    return undefined
  }
  const folder = join(source, given.text('context-dir') ?? '')
  if (!existsSync(folder) || !statSync(folder).isDirectory())
    throw new Failed(`There is no folder ${folder}: Everleaf builds folders.\nClone the repository, and give --source the folder.`)
  return folder
}

async function upload(context: Context, given: Given, { name, folder }: { name: string; folder: string }): Promise<void> {
  const { world, base, auth } = context
  say(context, given, `Packaging files to upload from source path '${folder}'...`)
  const { archiveOf } = await import('../../source-archive.ts')
  await createCodeEngine({ world, url: base + V2, auth }).uploadBuildSource(projectOf(context), name, await archiveOf(folder))
}

const create: Command = {
  ...spelled(BUILD, 'create'),
  about: 'make a build, and send it the folder that it builds',
  flags: [
    NAME,
    { name: 'build-type', synonyms: ['bt'], value: 'TYPE', about: 'local: the only one that Everleaf builds', oneOf: ['local'] },
    { ...SOURCE, about: 'what is built; otherwise `buildrun submit` sends it' },
    CONTEXT_DIR,
    ...SETTINGS,
    OUTPUT,
  ],
  async run(context, given) {
    const name = given.need('name')
    const folder = folderOf(given)
    say(context, given, `Creating build '${name}'...`)
    const json = {
      name,
      output_image: `private.everleaf/${name}`,
      output_secret: 'none',
      strategy_type: 'buildpacks',
      source_type: 'local',
      ...settingsOf(given),
    }
    const raw = await send(context, 'POST', { at: inProject(context, '/builds'), json })
    if (folder !== undefined) await upload(context, given, { name, folder })
    await made(context, BUILD, { raw, given })
  },
}

const update: Command = {
  ...spelled(BUILD, 'update'),
  about: 'change a build, or the folder that it builds',
  flags: [NAME, SOURCE, CONTEXT_DIR, ...SETTINGS, OUTPUT],
  async run(context, given) {
    const name = given.need('name')
    const [json, folder] = [settingsOf(given), folderOf(given)]
    if (Object.keys(json).length === 0 && folder === undefined) throw new WrongUse('Say what is to change, such as --source FOLDER or --timeout SECONDS.')
    say(context, given, `Updating build '${name}'...`)
    const before = await read(context, BUILD, name)
    const changed = Object.keys(json).length > 0
    const raw = changed ? await send(context, 'PATCH', { at: at(context, BUILD, name), json, ifMatch: String(before.entity_tag) }) : before
    if (folder !== undefined) await upload(context, given, { name, folder })
    await made(context, BUILD, { raw, given })
  },
}

const submit: Command = {
  ...spelled(RUN, 'submit'),
  about: 'run a build',
  flags: [
    { ...NAME, required: false, about: 'its name; one is made otherwise' },
    { name: 'build', short: 'b', value: 'NAME', about: 'the build', required: true },
    { ...SOURCE, about: 'send this folder first' },
    CONTEXT_DIR,
    ...WAITING,
    OUTPUT,
  ],
  async run(context, given) {
    const build = given.need('build')
    const { wait, limitMs } = waiting(given, false)
    const folder = folderOf(given)
    if (folder !== undefined) await upload(context, given, { name: build, folder })
    say(context, given, 'Submitting build run...')
    const submitted = await send(context, 'POST', {
      at: inProject(context, '/build_runs'),
      json: withoutUndefined({ name: given.text('name'), build_name: build }),
    })
    const name = String(submitted.name)
    const raw = wait ? await ended(context, given, { name, limitMs }) : submitted
    await made(context, RUN, { raw, given })
    if (wait && raw.status === 'failed')
      throw new Failed(
        `The build run ${name} failed${reasonOf(raw)}.\nMend the source, and type: ibmcloud ce buildrun submit --build ${build} --source FOLDER --wait`,
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

async function ended(context: Context, given: Given, { name, limitMs }: { name: string; limitMs: number }): Promise<Item> {
  return waitFor(context, {
    tell: (text) => say(context, given, text),
    what: `The build run ${name}`,
    limitMs,
    next: `ibmcloud ce buildrun get -n ${name}`,
    ask: () => read(context, RUN, name),
    isDone: ({ status }) => status === 'succeeded' || status === 'failed',
  })
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
