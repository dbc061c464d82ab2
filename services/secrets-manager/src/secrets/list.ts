import { pageAt } from '@everleaf/store'
import { type Kysely, type SelectQueryBuilder, sql } from 'kysely'
import type { Static } from 'typebox'
import { commaList, envelope } from '../pages.ts'
import { badRequest, lookup, mayOnGroup, mayOnInstance, notAllowed, onAnyGroup, type Tables } from '../service.ts'
import { secretsWithCurrent, toMetadata } from './rows.ts'
import { SECRET_TYPES, SecretsQuery } from './shapes.ts'

const LIST = 'secrets-manager.secrets.list'
const DEFAULT_LIMIT = 200
const MAX_GROUPS = 201
const MAX_LABELS = 30

export const list = lookup({
  query: SecretsQuery,
  resource: onAnyGroup(LIST),
  async run(context, { params, query }) {
    const { db, baseUrl, now } = context
    const filters = filtersOf(params.instance ?? '', query)
    if (!(await mayOnInstance(context, LIST, params))) {
      // Who may list only some groups has to name them: a shorter list must not pass for the whole one.
      if (filters.groups.length === 0) throw notAllowed(context, LIST)
      for (const group of filters.groups) if (!(await mayOnGroup(context, LIST, { ...params, group }))) throw notAllowed(context, LIST)
    }
    const { limit = DEFAULT_LIMIT, offset = 0 } = query
    const { rows, total } = await pageAt(sourceOf(db, filters), { limit, offset })
    const { sort, search, groups, secret_types, match_all_labels } = query
    return {
      ...envelope(`${baseUrl}/api/v2/secrets`, { total, limit, offset }, { sort, search, groups, secret_types, match_all_labels }),
      secrets: rows.map((row) => toMetadata(row, now())),
    }
  },
})

type Filters = {
  readonly instance: string
  readonly groups: readonly string[]
  readonly types: readonly string[]
  readonly labels: readonly string[]
  readonly search: string | undefined
  readonly order: readonly [column: 'id' | 'created_at' | 'updated_at' | 'retrieved_at' | 'expires_at' | 'type' | 'name', direction: 'asc' | 'desc']
}

const COLUMNS = {
  id: 'id',
  created_at: 'created_at',
  updated_at: 'updated_at',
  retrieved_at: 'retrieved_at',
  expiration_date: 'expires_at',
  secret_type: 'type',
  name: 'name',
} as const

function filtersOf(instance: string, query: Static<typeof SecretsQuery>): Filters {
  const groups = commaList(query.groups)
  const types = commaList(query.secret_types)
  const labels = commaList(query.match_all_labels)
  if (groups.length > MAX_GROUPS) throw badRequest(`"groups" must not name more than ${MAX_GROUPS} groups.`)
  if (labels.length > MAX_LABELS) throw badRequest(`"match_all_labels" must not name more than ${MAX_LABELS} labels.`)
  for (const type of types) if (!(SECRET_TYPES as readonly string[]).includes(type)) throw badRequest(`"secret_types" must be of ${SECRET_TYPES.join(', ')}.`)
  const sort = query.sort ?? 'created_at'
  // The query's pattern has checked the name.
  const column = COLUMNS[sort.replace(/^-/, '') as keyof typeof COLUMNS]
  return { instance, groups, types, labels, search: query.search?.toLowerCase(), order: [column, sort.startsWith('-') ? 'desc' : 'asc'] }
}

function sourceOf(db: Kysely<Tables>, filters: Filters) {
  const filtered = <O>(query: SelectQueryBuilder<Tables, 'sm_secrets', O>) => {
    const { instance, groups, types, labels, search } = filters
    let found = query.where('sm_secrets.instance', '=', instance)
    if (groups.length > 0) found = found.where('sm_secrets.group_id', 'in', groups)
    if (types.length > 0) found = found.where('sm_secrets.type', 'in', types)
    for (const label of labels) found = found.where(sql<boolean>`instr(sm_secrets.labels, ${`\n${label}\n`}) > 0`)
    return search === undefined ? found : found.where(sql<boolean>`instr(sm_secrets.search, ${search}) > 0`)
  }
  const [column, direction] = filters.order
  return {
    count: async () =>
      Number(
        (
          await filtered(db.selectFrom('sm_secrets'))
            .select((count) => count.fn.countAll<number>().as('n'))
            .executeTakeFirst()
        )?.n ?? 0,
      ),
    ids: async ({ limit, offset }: { limit: number; offset: number }) => {
      // The id decides between equals, so that paging is stable.
      const ids = filtered(db.selectFrom('sm_secrets')).select('sm_secrets.id').orderBy(`sm_secrets.${column}`, direction).orderBy('sm_secrets.id')
      return (await ids.limit(limit).offset(offset).execute()).map((row) => row.id)
    },
    rows: (ids: readonly string[]) => secretsWithCurrent(db).where('sm_secrets.id', 'in', ids).execute(),
  }
}
