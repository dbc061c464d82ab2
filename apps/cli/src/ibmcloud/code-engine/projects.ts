import { ApiFailure, call, path } from '@everleaf/clients'
import { type Context, confirm, regionOf } from '../context.ts'
import type { Command, Flag, Given } from '../grammar.ts'
import { facts, table } from '../table.ts'
import { Failed, WrongUse } from '../wrong-use.ts'
import { spelled } from './kinds.ts'
import { everyItem, FORCE, GONE_AT_ONCE, IGNORE, type Item, OUTPUT, printed, projectOf, say, V2, waitFor, WAITING, waiting } from './scope.ts'

const PROJECT = { words: ['project', 'proj'], title: 'project', segment: 'projects', kind: 'Project', columns: [], row: () => [] }
const BY_NAME: readonly Flag[] = [
  { name: 'name', short: 'n', value: 'NAME', about: 'its name' },
  { name: 'id', synonyms: ['guid'], value: 'ID', about: 'its id' },
]

/** What IBM's command line prints of a project: scripts cut `guid`, `region_id` and `crn`. */
function toItem(raw: Item): Item {
  const { id, name, crn, region, resource_group_id, status, created_at } = raw
  return { guid: id, id: crn, crn, name, region_id: region, resource_group_id, state: status, created_at }
}

/** Throws Failed when there is none, or several of that name; WrongUse when neither name nor id was given. */
async function find(context: Context, given: Given): Promise<Item> {
  const [name, id] = [given.text('name'), given.text('id')]
  if ((name === undefined) === (id === undefined)) throw new WrongUse('Say which: --name NAME or --id ID.')
  if (id !== undefined) return context.api(V2).get<Item>(path`/projects/${id}`)
  const found = (await everyItem(context, '/projects', { key: 'projects' })).filter((project) => project.name === name)
  if (found.length > 1) throw new Failed(`${found.length} projects are named ${name}.\nSay which with --id; see them with: ibmcloud ce project list`)
  const [only] = found
  if (only === undefined)
    throw new ApiFailure('finding the project', {
      status: 404,
      code: 'not_found',
      reason: `there is no project named ${name}. See which there are: ibmcloud ce project list`,
    })
  return only
}

/** The project as one reply of the API has it, with the names below which its applications are reached. */
async function placed(context: Context, id: string): Promise<Item> {
  const { world, base, auth, found } = context
  const { body, headers } = await call<Item>({ world, url: base + V2, auth }, { method: 'GET', path: path`/projects/${id}` })
  const subdomain = headers['everleaf-subdomain']
  return { ...toItem(body), domain: found.ports.domain, ...(subdomain === undefined ? {} : { kube_config_context: subdomain }) }
}

async function show(context: Context, given: Given, { id }: Item): Promise<void> {
  const item = await placed(context, String(id))
  if (await printed(context, given, item)) return
  context.screen.result(
    facts([
      ['Name', String(item.name)],
      ['ID', String(item.guid)],
      ['Status', String(item.state)],
      ['Selected', item.guid === projectOf(context)],
      ['Subdomain', item.kube_config_context as string | undefined],
      ['Domain', String(item.domain)],
      ['Region', String(item.region_id)],
      ['Resource Group ID', String(item.resource_group_id)],
      ['CRN', String(item.crn)],
      ['Created', String(item.created_at)],
    ]),
  )
}

const create: Command = {
  ...spelled(PROJECT, 'create'),
  about: 'make a project, and select it',
  flags: [
    { name: 'name', short: 'n', value: 'NAME', about: 'its name', required: true },
    { name: 'tag', short: 't', value: 'TAG', about: 'a tag', many: true },
    { name: 'no-select', synonyms: ['ns'], about: 'without selecting it' },
    ...WAITING,
    OUTPUT,
  ],
  async run(context, given) {
    const name = given.need('name')
    const { wait, limitMs } = waiting(given, true)
    say(context, given, `Creating project '${name}'...`)
    const group = context.state().group?.id
    const tags = given.texts('tag')
    let raw = await context.api(V2).post<Item>(
      '/projects',
      { name, ...(group === undefined ? {} : { resource_group_id: group }), ...(tags.length === 0 ? {} : { tags }) },
      // A project belongs to the region whose host is asked for it.
      { headers: { host: `api.${regionOf(context)}.codeengine.cloud.ibm.com` } },
    )
    const id = String(raw.id)
    if (wait)
      raw = await waitFor(context, {
        tell: (text) => say(context, given, text),
        what: `The project ${name}`,
        limitMs,
        next: `ibmcloud ce project get --id ${id}`,
        ask: () => context.api(V2).get<Item>(path`/projects/${id}`),
        isDone: ({ status }) => status === 'active',
      })
    if (!given.is('no-select')) context.change({ codeEngineProject: id })
    if (given.has('output')) return show(context, given, raw)
    context.screen.note(`ID for project '${name}' is '${id}'.\nOK`)
  },
}

const select: Command = {
  ...spelled(PROJECT, 'select'),
  about: 'the project that commands work on from now on',
  flags: [
    ...BY_NAME,
    { name: 'kubecfg', short: 'k', about: 'refused: there is no Kubernetes behind Everleaf' },
    { name: 'endpoint', short: 'e', value: 'ENDPOINT', about: 'public or private: both are the same here', oneOf: ['public', 'private'] },
  ],
  async run(context, given) {
    if (given.is('kubecfg'))
      throw new Failed(
        'There is no Kubernetes behind Everleaf, and so no configuration for kubectl (--kubecfg).\nSelect the project without it; ibmcloud ce has app, job, jobrun, build and the others.',
      )
    const project = await find(context, given)
    context.change({ codeEngineProject: String(project.id) })
    context.screen.note(`Selecting project '${String(project.name)}'...\nOK`)
  },
}

const get: Command = {
  ...spelled(PROJECT, 'get'),
  about: 'one project',
  flags: [...BY_NAME, OUTPUT],
  run: async (context, given) => show(context, given, await find(context, given)),
}

const current: Command = {
  ...spelled(PROJECT, 'current'),
  about: "the project that commands work on: the selected one, else the platform's own",
  flags: [OUTPUT],
  run: async (context, given) => show(context, given, { id: projectOf(context) }),
}

const list: Command = {
  ...spelled(PROJECT, 'list'),
  about: 'the projects',
  flags: [{ name: 'regions', short: 'r', value: 'REGION,REGION', about: 'only those of these regions' }, OUTPUT],
  async run(context, given) {
    const regions = given.text('regions')?.split(',')
    const all = (await everyItem(context, '/projects', { key: 'projects' })).map(toItem)
    const items = all.filter(({ region_id }) => regions === undefined || regions.includes(String(region_id)))
    if (await printed(context, given, items)) return
    const selected = projectOf(context)
    context.screen.result(
      table(
        ['Name', 'ID', 'Status', 'Selected', 'Region', 'Created'],
        items.map(({ name, guid, state, region_id, created_at }) => [name, guid, state, guid === selected, region_id, created_at].map(String)),
      ),
    )
  },
}

const remove: Command = {
  ...spelled(PROJECT, 'delete'),
  about: 'delete a project with all that is in it',
  flags: [...BY_NAME, { name: 'hard', about: 'with its name, which is kept for seven days otherwise' }, FORCE, IGNORE, ...GONE_AT_ONCE],
  async run(context, given) {
    const which = given.text('name') ?? given.text('id') ?? ''
    try {
      const project = await find(context, given)
      await confirm(context, given.is('force'), `Delete the project ${String(project.name)} with all that is in it?`)
      await context.api(V2).remove(path`/projects/${String(project.id)}`, given.is('hard') ? { query: { hard: 'true' } } : {})
      if (context.state().codeEngineProject === project.id) context.forget('codeEngineProject')
    } catch (error) {
      if (!(given.is('ignore-not-found') && error instanceof ApiFailure && error.status === 404)) throw error
    }
    context.screen.note(`Deleting project '${which}'...\nOK`)
  },
}

export const projectCommands: readonly Command[] = [create, select, get, current, list, remove]
