import type { CertificateItem, Item } from '@everleaf/link'
import type { Kysely } from 'kysely'
import type { Changes } from './edge.ts'
import type { Change, Deps, MappingRow, ProjectRow, ServedRow, Tables } from './service.ts'
import { chooseServed, type Judged, judge, type Pair } from './serving.ts'
import { openSecret } from './values.ts'

/** A mapping and the app it leads to, where there is one. */
export type Mapped = MappingRow & { readonly app_id: string | null }
/** What a TLS secret holds now; undefined: there is none of that name and format. */
export type Offered = { readonly secret: string; readonly pair: Pair | undefined }

/**
 * Brings the mappings that name one TLS secret in line with what it holds, all in one difference: they swap together or not at all.
 * The pair that is served is kept apart from the secret, so that a bad one never takes its place, not after a restart either.
 */
export async function settleMappings(change: Change, project: ProjectRow, offered: Offered): Promise<Changes> {
  const rows = await mapped(change.db)
    .where('ce_domain_mappings.project_id', '=', project.id)
    .where('ce_domain_mappings.tls_secret', '=', offered.secret)
    .execute()
  return await settleRows(change, { project, offered, rows })
}

/** The same for mappings of one component, whose secrets are read first. */
export async function settleComponent(change: Change, project: ProjectRow, component: string): Promise<Changes> {
  const own = await change.db
    .selectFrom('ce_domain_mappings')
    .select('tls_secret')
    .distinct()
    .where('project_id', '=', project.id)
    .where('component', '=', component)
    .execute()
  const all: Changes[] = []
  for (const { tls_secret } of own) all.push(await settleMappings(change, project, await readOffered(change, project, tls_secret)))
  return { upserts: all.flatMap(({ upserts }) => upserts), deletes: all.flatMap(({ deletes }) => deletes ?? []) }
}

export async function readOffered({ db, deps }: Change, project: ProjectRow, secret: string): Promise<Offered> {
  const row = await db.selectFrom('ce_secrets').selectAll().where('project_id', '=', project.id).where('name', '=', secret).executeTakeFirst()
  return { secret, pair: row === undefined || row.format !== 'tls' ? undefined : pairOf(await openSecret(deps, row)) }
}

export function pairOf(data: Readonly<Record<string, string>>): Pair {
  return { certificate: data.tls_cert ?? '', privateKey: data.tls_key ?? '' }
}

/** Key of the certificate item for an app's own hosts. */
export async function certificateOf(db: Kysely<Tables>, project: ProjectRow, deps: Deps): Promise<string> {
  const own = await db.selectFrom('ce_served').select('certificate').where('certificate', '=', projectCertificate(project.id)).executeTakeFirst()
  return own?.certificate ?? deps.settings.platformCertificate ?? 'platform'
}

export function projectCertificate(projectId: string): string {
  return `${projectId}/`
}

/** Keeps a pair as the one that is served under a key. */
export async function keepServed(
  { db, tx, deps }: Change,
  place: { projectId: string; certificate: string },
  judged: Judged & { servable: true },
): Promise<Item> {
  const { item, notBefore, notAfter } = judged
  const { projectId, certificate } = place
  const times = { not_before: notBefore.getTime(), not_after: notAfter.getTime(), served_at: deps.world.now().getTime() }
  const sealed = await deps.vault.seal(tx, servedPlace({ project_id: projectId, certificate, fingerprint: item.fingerprint }), JSON.stringify(item))
  const values = { fingerprint: item.fingerprint, sealed, ...times }
  await db
    .insertInto('ce_served')
    .values({ certificate, project_id: projectId, ...values })
    .onConflict((conflict) => conflict.column('certificate').doUpdateSet(values))
    .execute()
  return { kind: 'certificate', key: certificate, value: item }
}

export async function openServed({ vault }: Deps, row: ServedRow): Promise<CertificateItem> {
  return JSON.parse(await vault.open(servedPlace(row), row.sealed))
}

/** Takes away served pairs that no mapping uses any more. */
export async function dropUnused({ db }: Change, certificates: readonly (string | null)[]): Promise<NonNullable<Changes['deletes']>> {
  const dropped: { kind: 'certificate'; key: string }[] = []
  for (const certificate of new Set(certificates.filter((one) => one !== null))) {
    const user = await db.selectFrom('ce_domain_mappings').select('id').where('certificate', '=', certificate).executeTakeFirst()
    if (user !== undefined) continue
    await db.deleteFrom('ce_served').where('certificate', '=', certificate).execute()
    dropped.push({ kind: 'certificate', key: certificate })
  }
  return dropped
}

/** Mappings with the id of the app they lead to. */
export function mapped(db: Kysely<Tables>) {
  return db
    .selectFrom('ce_domain_mappings')
    .leftJoin('ce_apps', (join) =>
      join
        .onRef('ce_apps.project_id', '=', 'ce_domain_mappings.project_id')
        .onRef('ce_apps.name', '=', 'ce_domain_mappings.component')
        .on('ce_domain_mappings.component_type', '=', 'app_v2'),
    )
    .selectAll('ce_domain_mappings')
    .select('ce_apps.id as app_id')
}

/** The host item of a mapping, where it can be served. */
export function mappingHost({ claimed, app_id, certificate, name }: Mapped): Item[] {
  if (claimed === 0 || app_id === null || certificate === null) return []
  return [{ kind: 'host', key: name, value: { listener: 'any', certificate, to: { kind: 'workload', workload: app_id } } }]
}

type Outcome = { readonly certificate: string | undefined; readonly item: Item | undefined; readonly why: string }

async function settleRows(change: Change, { project, offered, rows }: { project: ProjectRow; offered: Offered; rows: readonly Mapped[] }): Promise<Changes> {
  if (rows.length === 0) return { upserts: [] }
  const hosts = rows.filter(({ claimed }) => claimed === 1).map(({ name }) => name)
  const outcome = await decideOutcome(change, { project, offered, hosts })
  const hostItems: Item[] = []
  const left: (string | null)[] = []
  for (const row of rows) {
    const next = { ...row, ...stateOf(row, outcome), certificate: outcome.certificate ?? row.certificate }
    if (isChanged(row, next)) {
      const { status, reason, message, certificate } = next
      await change.db.updateTable('ce_domain_mappings').set({ status, reason, message, certificate }).where('id', '=', row.id).execute()
      hostItems.push(...mappingHost(next))
    }
    if (row.certificate !== next.certificate) left.push(row.certificate)
  }
  const deletes = left.length === 0 ? [] : await dropUnused(change, left)
  return { upserts: [...(outcome.item === undefined ? [] : [outcome.item]), ...hostItems], deletes }
}

async function decideOutcome(
  change: Change,
  { project, offered, hosts }: { project: ProjectRow; offered: Offered; hosts: readonly string[] },
): Promise<Outcome> {
  const { db, deps } = change
  const certificate = `${project.id}/${offered.secret}`
  const known = () => db.selectFrom('ce_served').selectAll().where('certificate', '=', certificate).executeTakeFirst()
  if (offered.pair === undefined) {
    const why = `There is no secret named ${offered.secret} of format tls.`
    return { certificate: (await known())?.certificate, item: undefined, why }
  }
  const question = { hosts, now: deps.world.now() }
  const judged = judge(offered.pair, question)
  // The pair in place is only read where it could win.
  const row = judged.faults.length === 0 ? undefined : await known()
  const inPlace = row === undefined ? undefined : judge(asPair(await openServed(deps, row)), question)
  const { serve, why } = chooseServed(judged, inPlace)
  if (serve && judged.servable) return { certificate, item: await keepServed(change, { projectId: project.id, certificate }, judged), why: '' }
  return { certificate: row?.certificate, item: undefined, why: row === undefined ? why : `${why} The pair before it goes on being served.` }
}

function asPair({ chain, privateKey }: CertificateItem): Pair {
  return { certificate: chain, privateKey }
}

/**
 * | the host belongs to another mapping | failed, domain_already_claimed |
 * | the component is no app of the project | failed, app_ref_failed |
 * | the secret is missing, or its pair was not taken | failed, failed_reconcile_ingress (an earlier pair may go on being served) |
 * | else | ready, ready |
 */
function stateOf({ claimed, app_id, component }: Mapped, { why }: Outcome): Pick<MappingRow, 'status' | 'reason' | 'message'> {
  if (claimed === 0)
    return { status: 'failed', reason: 'domain_already_claimed', message: 'Another domain mapping of this region has this host. Delete it there first.' }
  if (app_id === null) return { status: 'failed', reason: 'app_ref_failed', message: `There is no app named ${component} in the project.` }
  if (why !== '') return { status: 'failed', reason: 'failed_reconcile_ingress', message: why }
  return { status: 'ready', reason: 'ready', message: '' }
}

function isChanged(before: Mapped, after: Mapped): boolean {
  return before.status !== after.status || before.reason !== after.reason || before.message !== after.message || before.certificate !== after.certificate
}

function servedPlace({ project_id, certificate, fingerprint }: Pick<ServedRow, 'project_id' | 'certificate' | 'fingerprint'>): { scope: string; row: string } {
  return { scope: project_id, row: `ce_served:${certificate}:${fingerprint}:pair` }
}
