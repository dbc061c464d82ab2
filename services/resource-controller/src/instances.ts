import { ApiError, type Read } from '@everleaf/http'
import { Type } from 'typebox'
import { type CatalogService, findPlan } from './catalog.ts'
import { CODES } from './errors.ts'
import { requiredGroup } from './group-rows.ts'
import { insertInstance, operationDone, removeInstance, requiredInstance, resourceOf, toInstance, toShape } from './instance-rows.ts'
import { visiblePage } from './lists.ts'
import { type Deps, type InstanceRow, lookup, operation, type Tables } from './service.ts'

// shapes
const Text = (max: number) => Type.Optional(Type.String({ maxLength: max }))
const Name = Type.String({ minLength: 1, maxLength: 180, pattern: '^[^\\u0000-\\u001f\\u007f]+$' })
const Parameters = Type.Optional(Type.Union([Type.Object({}, { additionalProperties: true }), Type.Null()]))
const NewInstance = Type.Object({
  name: Name,
  target: Type.String({ minLength: 1, maxLength: 300 }),
  resource_group: Type.String({ minLength: 1, maxLength: 64 }),
  resource_plan_id: Type.String({ minLength: 1, maxLength: 100 }),
  tags: Type.Optional(Type.Array(Type.String({ maxLength: 128 }), { maxItems: 100 })),
  allow_cleanup: Type.Optional(Type.Boolean()),
  parameters: Parameters,
})
const InstanceChange = Type.Object({
  name: Type.Optional(Name),
  parameters: Parameters,
  resource_plan_id: Text(100),
  allow_cleanup: Type.Optional(Type.Boolean()),
})
const InstanceQuery = Type.Object({
  guid: Text(64),
  name: Text(180),
  resource_group_id: Text(64),
  resource_id: Text(100),
  resource_plan_id: Text(100),
  type: Text(64),
  sub_type: Text(64),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  start: Text(200),
  state: Text(64),
  updated_from: Text(64),
  updated_to: Text(64),
  order: Text(10),
})

// operations
/** Shows the instances that the caller may retrieve, as IBM does: there is no right on the list itself. */
export const list = lookup({
  query: InstanceQuery,
  async run({ db, identity, may }, { query }) {
    const plan = query.resource_plan_id === undefined ? undefined : (findPlan(query.resource_plan_id)?.plan.id ?? query.resource_plan_id)
    const wanted: Partial<InstanceRow> = {
      ...(query.guid === undefined ? {} : { guid: query.guid }),
      ...(query.name === undefined ? {} : { name: query.name }),
      ...(query.resource_group_id === undefined ? {} : { resource_group: query.resource_group_id }),
      ...(plan === undefined ? {} : { plan }),
    }
    const state = query.state ?? 'active'
    const page = await visiblePage(
      { path: '/v2/resource_instances', query },
      {
        fetch: ({ after, limit }) => {
          let rows = db.selectFrom('rc_instances').selectAll().where('account', '=', identity.account).where(after)
          rows = rows.where('state', '=', state as InstanceRow['state'])
          for (const [column, value] of Object.entries(wanted)) rows = rows.where(column as 'guid', '=', String(value))
          if (query.updated_from !== undefined) rows = rows.where('updated_at', '>=', timeOf(query.updated_from))
          if (query.updated_to !== undefined) rows = rows.where('updated_at', '<=', timeOf(query.updated_to))
          return rows.orderBy('created_at').orderBy('guid').limit(limit).execute()
        },
        isVisible: async (row) =>
          (query.resource_id === undefined || findPlan(row.plan)?.service.id === query.resource_id) &&
          (query.type === undefined || query.type === 'service_instance') &&
          !query.sub_type &&
          (await may('resource-controller.instance.retrieve', resourceOf(row))),
      },
    )
    return { rows_count: page.rows.length, next_url: page.next_url, resources: page.rows.map(toShape) }
  },
})

export const create = operation({
  body: NewInstance,
  status: 201,
  async run(context, { body }) {
    const { tx, db, deps, identity, world, headers, may } = context
    const found = findPlan(body.resource_plan_id)
    if (found === undefined) throw new ApiError(404, CODES.planNotFound, 'There is no plan with this resource_plan_id. GET /api/v1 lists services and plans.')
    const group = await requiredGroup(db, identity, body.resource_group)
    const { service, plan } = found
    if (!(await may('resource-controller.instance.create', { service: service.name, account: identity.account, resourceGroup: group.id })))
      throw new ApiError(
        403,
        CODES.forbidden,
        `${identity.iamId} may not create instances of ${service.name} in this resource group. Ask for the role Editor on it.`,
      )
    refuseProject(service.name, 'create_resource_instance')
    const row = await insertInstance(tx, world, {
      account: identity.account,
      service: service.name,
      plan: plan.id,
      name: body.name,
      resourceGroup: group.id,
      region: regionOf(body.target, service),
      createdBy: identity.iamId,
      tags: body.tags ?? [],
      parameters: { ...body.parameters },
      allowCleanup: body.allow_cleanup ?? false,
      locked: headers['entity-lock'] === 'true',
    })
    await deps.outside.onCreated?.(tx, toInstance(row))
    return toShape(row)
  },
})

export const get = lookup({
  resource: (context, params) => resourceFor(context, params),
  run: async ({ db, identity }, { params }) => toShape(await requiredInstance(db, identity, params.id)),
})

export const update = operation({
  body: InstanceChange,
  resource: (context, params) => resourceFor(context, params),
  async run({ tx, db, deps, identity, now }, { params, body }) {
    const row = await requiredInstance(db, identity, params.id)
    refuseUnchangeable(row)
    const plan = body.resource_plan_id === undefined ? row.plan : planOf(row, body.resource_plan_id)
    const history = JSON.parse(row.plan_history) as unknown[]
    if (plan !== row.plan) history.push({ resource_plan_id: plan, start_date: now().toISOString(), requestor_id: identity.iamId })
    const changed: InstanceRow = {
      ...row,
      name: body.name ?? row.name,
      plan,
      plan_history: JSON.stringify(history),
      parameters: body.parameters == null ? row.parameters : JSON.stringify({ ...(JSON.parse(row.parameters) as object), ...body.parameters }),
      allow_cleanup: Number(body.allow_cleanup ?? row.allow_cleanup === 1),
      last_operation: operationDone('update'),
      updated_at: now().getTime(),
      updated_by: identity.iamId,
    }
    await db.updateTable('rc_instances').set(changed).where('guid', '=', row.guid).execute()
    deps.forget(tx, row.guid)
    return toShape(changed)
  },
})

export const remove = operation({
  query: Type.Object({ recursive: Type.Optional(Type.Boolean()) }),
  resource: (context, params) => resourceFor(context, params),
  async run({ tx, db, deps, identity, world }, { params, query }) {
    const row = await requiredInstance(db, identity, params.id)
    refuseUnchangeable(row)
    refuseProject(row.service, 'delete_resource_instance')
    const key = await db.selectFrom('rc_keys').select('guid').where('instance', '=', row.guid).limit(1).executeTakeFirst()
    if (key !== undefined && query.recursive !== true)
      throw new ApiError(400, CODES.hasDependents, 'The instance has resource keys. Delete them first, or send recursive=true.')
    await removeInstance(tx, { world, deps }, { guid: row.guid, by: identity.iamId })
  },
})

export const lock = locking(1)
export const unlock = locking(0)

function locking(locked: 0 | 1) {
  return operation({
    status: 200,
    resource: (context, params) => resourceFor(context, params),
    async run({ db, identity, now }, { params }) {
      const row = await requiredInstance(db, identity, params.id)
      if (row.state === 'removed') throw new ApiError(422, CODES.locked, 'The instance is removed: it cannot be changed.')
      const change = { locked, last_operation: operationDone(locked === 1 ? 'lock' : 'unlock'), updated_at: now().getTime(), updated_by: identity.iamId }
      await db.updateTable('rc_instances').set(change).where('guid', '=', row.guid).execute()
      return toShape({ ...row, ...change })
    },
  })
}

/** For routes below an instance: the guard is asked about that instance as one of its service. */
export async function resourceFor({ db, identity }: Pick<Read<Tables, Deps>, 'db' | 'identity'>, params: Readonly<Record<string, string>>) {
  return resourceOf(await requiredInstance(db, identity, params.id))
}

function refuseUnchangeable(row: InstanceRow): void {
  if (row.locked === 1) throw new ApiError(422, CODES.locked, 'The instance is locked. Unlock it first.')
  if (row.state === 'removed') throw new ApiError(422, CODES.locked, 'The instance is removed: it cannot be changed.')
}

/** A Code Engine project is an instance, but what is in it only Code Engine can make and take down. */
function refuseProject(service: string, operationName: string): void {
  if (service === 'codeengine')
    throw new ApiError(
      501,
      CODES.notImplemented,
      `The operation ${operationName} for codeengine does not exist in Everleaf yet. Use Code Engine's /v2/projects.`,
    )
}

function planOf(row: InstanceRow, text: string): string {
  const found = findPlan(text)
  if (found === undefined || found.service.name !== row.service)
    throw new ApiError(404, CODES.planNotFound, 'There is no such plan of the service of this instance.')
  return found.plan.id
}

/** The region of a target: a region's name, or the last part of a deployment's CRN; global services have none but `global`. */
function regionOf(target: string, service: CatalogService): string {
  if (service.global) return 'global'
  const region = target.startsWith('crn:') ? (target.split(/:|%3A/i).at(-1) ?? '') : target
  if (!/^[a-z]{2,10}(-[a-z0-9]{2,10}){1,3}$/.test(region))
    throw new ApiError(400, CODES.badRequest, 'The target must be a region such as eu-de, or the CRN of a deployment in one.')
  return region
}

function timeOf(text: string): number {
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw new ApiError(400, CODES.badRequest, 'updated_from and updated_to are dates and times such as 2027-01-31T12:00:00Z.')
  return ms
}
