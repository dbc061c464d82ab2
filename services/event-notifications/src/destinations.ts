import { ApiError } from '@everleaf/http'
import { isDuplicate, pageAt, type Tx, type Vault } from '@everleaf/store'
import { type Kysely, sql } from 'kysely'
import { checkType, deliverable, type DestinationConfig, jobOf, keepHidden, readConfig, shownConfig } from './config.ts'
import { CODES } from './errors.ts'
import { type DestinationForm, readForm } from './form.ts'
import { needJobAuthorization, runJob } from './jobs.ts'
import { likePattern, PageQuery, pageOf, pageReply } from './page.ts'
import { profileOf, sendTo } from './send.ts'
import { type DestinationRow, lookup, operation, type Tables } from './service.ts'
import { fixedUuid, matches } from './sources.ts'

// operations
export const create = operation({
  takes: 'bytes',
  status: 201,
  async run({ db, tx, id, now, deps, headers }, { params, body }) {
    const form = await readForm(body as unknown as Buffer, headers['content-type'])
    checkType(form.type)
    checkCollecting(form)
    if (form.name === undefined) throw new ApiError(400, CODES.badRequest, 'The part name is missing.', { target: { type: 'field', name: 'name' } })
    const config = readConfig(form.config, deps.settings)
    await needJobAuthorization(deps, params.instance ?? '', config)
    const at = now().getTime()
    const row: DestinationRow = {
      ...EMPTY,
      id: id(),
      instance: params.instance ?? '',
      name: form.name,
      description: form.description ?? '',
      type: form.type ?? '',
      created_at: at,
      updated_at: at,
    }
    const full = { ...row, ...(await sealed(tx, deps.vault, row, config)) }
    await unique(() => db.insertInto('en_destinations').values(full).execute(), full.name)
    const { updated_at: _, ...shape } = toItem(full)
    return { ...shape, config: config === undefined ? {} : shownConfig(config), created_at: new Date(at).toISOString() }
  },
})

export const list = lookup({
  query: PageQuery,
  async run({ db, baseUrl }, { params, query }) {
    const instance = params.instance ?? ''
    const like = likePattern(query.search)
    const own = builtInDestinations(instance).filter((row) => matches(row, query.search))
    const stored = db
      .selectFrom('en_destinations')
      .where('instance', '=', instance)
      .$if(like !== undefined, (q) => q.where(sql<boolean>`(name LIKE ${like} ESCAPE '\\' OR description LIKE ${like} ESCAPE '\\')`))
    const { rows, total } = await pageAt<DestinationRow>(
      {
        count: async () => own.length + Number((await stored.select((e) => e.fn.countAll().as('n')).executeTakeFirstOrThrow()).n),
        async ids({ limit, offset }) {
          const first = own.slice(offset, offset + limit).map((row) => row.id)
          const rest = { limit: limit - first.length, offset: Math.max(0, offset - own.length) }
          const found = rest.limit === 0 ? [] : await stored.select('id').orderBy('created_at').orderBy('id').limit(rest.limit).offset(rest.offset).execute()
          return [...first, ...found.map((row) => row.id)]
        },
        rows: async (ids) => [
          ...own,
          ...(await db.selectFrom('en_destinations').selectAll().where('instance', '=', instance).where('id', 'in', ids).execute()),
        ],
      },
      pageOf(query),
    )
    const items = []
    for (const row of rows) items.push(await withSubscriptions(db, row))
    return pageReply({ key: 'destinations', items, total, href: `${baseUrl}/destinations`, query })
  },
})

export const get = lookup({
  async run({ db, deps }, { params }) {
    const row = await needDestination(db, params.instance ?? '', params.id ?? '')
    return await toShape(db, deps.vault, row)
  },
})

export const update = operation({
  takes: 'bytes',
  async run({ db, tx, now, deps, headers }, { params, body }) {
    const row = await needStored(db, params.instance ?? '', params.id ?? '')
    const form = await readForm(body as unknown as Buffer, headers['content-type'])
    checkCollecting(form)
    const change = {
      ...(form.name === undefined ? {} : { name: form.name }),
      ...(form.description === undefined ? {} : { description: form.description }),
      updated_at: now().getTime(),
    }
    const sent = readConfig(form.config, deps.settings)
    await needJobAuthorization(deps, row.instance, sent)
    // A new config is how a disabled destination comes back.
    const config =
      sent === undefined
        ? {}
        : {
            ...(await sealed(tx, deps.vault, row, keepHidden(sent, await openConfig(deps.vault, row)))),
            ...{ failing_since: null, failures: 0, disabled_at: null, disabled_reason: null },
          }
    const full = { ...row, ...change, ...config }
    await unique(() => db.updateTable('en_destinations').set(full).where('id', '=', row.id).execute(), full.name)
    return await toShape(db, deps.vault, full)
  },
})

export const remove = operation({
  async run({ db }, { params }) {
    const row = await needStored(db, params.instance ?? '', params.id ?? '')
    const used = await db.selectFrom('en_subscriptions').select('name').where('destination_id', '=', row.id).executeTakeFirst()
    if (used !== undefined) throw new ApiError(409, CODES.conflict, `The destination has the subscription ${used.name}. Delete its subscriptions first.`)
    await db.deleteFrom('en_destinations').where('id', '=', row.id).execute()
  },
})

/** Sends one event of ours and says what came of it; no transaction is open meanwhile. */
export const test = lookup({
  async run({ db, deps, id, now }, { params }) {
    const row = await needDestination(db, params.instance ?? '', params.id ?? '')
    if (row.type !== 'ibmce')
      throw new ApiError(501, CODES.notImplemented, `The operation test_destination for the type ${row.type} does not exist in Everleaf yet.`)
    const ready = deliverable(await openConfig(deps.vault, row))
    if ('problem' in ready) throw new ApiError(400, CODES.badRequest, `A test is not possible: ${ready.problem}. Set config.params, then test it.`)
    const { config } = ready
    const event = {
      ...{ specversion: '1.0', id: id(), notification_id: id(), type: 'everleaf.event-notifications.destination-test', time: now().toISOString() },
      ...{ source: 'everleaf-event-notifications', ibmendefaultshort: 'A test of this destination', data: {} },
    }
    const [body, job] = [JSON.stringify(event), jobOf(config)]
    const outcome =
      job === undefined
        ? await sendTo(deps.deps.http, { config, body, profile: profileOf(config, deps.settings), signal: undefined })
        : await deps.store.write(async (tx) => await runJob(tx, deps, { instance: row.instance, body, ...job }))
    return { status: outcome.status !== undefined && outcome.status >= 200 && outcome.status < 300 ? 'success' : 'failed' }
  },
})

// rows
const EMPTY = { collect_failed_events: 0, params: null, headers_sealed: null, failing_since: null, failures: 0, disabled_at: null, disabled_reason: null }
const BUILT_IN = [
  { type: 'smtp_ibm', name: 'IBM Cloud Email service', description: 'Built-in e-mail destination' },
  { type: 'sms_ibm', name: 'IBM Cloud SMS service', description: 'Built-in SMS destination' },
] as const

/** One e-mail and one SMS destination are in every instance; the SDKs' tests walk the list until they have found both. */
function builtInDestinations(instance: string): DestinationRow[] {
  return BUILT_IN.map((entry) => ({ ...EMPTY, ...entry, id: fixedUuid(`${instance}|${entry.type}`), instance, created_at: 0, updated_at: 0 }))
}

export async function findDestination(db: Kysely<Tables>, instance: string, id: string): Promise<DestinationRow | undefined> {
  const builtIn = builtInDestinations(instance).find((row) => row.id === id)
  return builtIn ?? (await db.selectFrom('en_destinations').selectAll().where('instance', '=', instance).where('id', '=', id).executeTakeFirst())
}

async function needDestination(db: Kysely<Tables>, instance: string, id: string): Promise<DestinationRow> {
  const row = await findDestination(db, instance, id)
  if (row === undefined) throw new ApiError(404, CODES.notFound, `There is no destination ${id} in this instance. List the destinations to see their ids.`)
  return row
}

async function needStored(db: Kysely<Tables>, instance: string, id: string): Promise<DestinationRow> {
  const row = await needDestination(db, instance, id)
  if (row.created_at === 0) throw new ApiError(409, CODES.conflict, `The destination ${row.name} is part of every instance and cannot be changed or deleted.`)
  return row
}

function checkCollecting(form: DestinationForm): void {
  if (form.collect_failed_events === true)
    throw new ApiError(
      400,
      CODES.badRequest,
      'collect_failed_events needs an integration of type collect_failed_events, and this instance has none. Leave it false.',
    )
}

async function sealed(tx: Tx, vault: Vault, row: DestinationRow, config: DestinationConfig | undefined) {
  if (config === undefined) return {}
  const headers = config.headers === undefined ? null : await vault.seal(tx, headersPlace(row), JSON.stringify(config.headers))
  return { params: JSON.stringify(config.params), headers_sealed: headers }
}

function headersPlace(row: Pick<DestinationRow, 'instance' | 'id'>) {
  return { scope: row.instance, row: `en_destinations:${row.id}:1:headers` }
}

async function openHeaders(vault: Vault, row: DestinationRow): Promise<Record<string, string> | undefined> {
  return row.headers_sealed === null ? undefined : (JSON.parse(await vault.open(headersPlace(row), row.headers_sealed)) as Record<string, string>)
}

/** The stored config with its headers opened; undefined when the destination was created without. */
export async function openConfig(vault: Vault, row: DestinationRow): Promise<DestinationConfig | undefined> {
  if (row.params === null) return undefined
  return { params: JSON.parse(row.params) as Record<string, unknown>, headers: await openHeaders(vault, row) }
}

async function unique(write: () => Promise<unknown>, name: string): Promise<void> {
  try {
    await write()
  } catch (error) {
    if (!isDuplicate(error)) throw error
    throw new ApiError(409, CODES.conflict, `A destination named ${name} exists already in this instance. Choose another name.`)
  }
}

function toItem(row: DestinationRow) {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    type: row.type,
    collect_failed_events: row.collect_failed_events === 1,
    updated_at: new Date(row.updated_at).toISOString(),
  }
}

async function withSubscriptions(db: Kysely<Tables>, row: DestinationRow) {
  const names = await db.selectFrom('en_subscriptions').select('name').where('destination_id', '=', row.id).orderBy('name').execute()
  return { ...toItem(row), subscription_count: names.length, subscription_names: names.map(({ name }) => name) }
}

async function toShape(db: Kysely<Tables>, vault: Vault, row: DestinationRow) {
  const config = await openConfig(vault, row)
  const disabled = row.disabled_at === null ? {} : { everleaf_disabled: { at: new Date(row.disabled_at).toISOString(), reason: row.disabled_reason } }
  return { ...(await withSubscriptions(db, row)), ...(config === undefined ? {} : { config: shownConfig(config) }), ...disabled }
}
