import type { EdgeEvent } from '@everleaf/link'
import { refreshApp } from './apps/refresh.ts'
import { withRevisions } from './apps/rows.ts'
import { handOver } from './edge.ts'
import type { Change, Deps, RevisionRow, Tables } from './service.ts'

/** What the edge says of a revision decides its status. Other events change nothing that is kept. Safe to be told twice. */
export async function onEdgeEvent(deps: Deps, event: EdgeEvent): Promise<void> {
  if (event.type !== 'revision') return
  // A revision that comes up again after a rest says nothing new: no write for it.
  const known = await deps.store
    .tables<Tables>()
    .selectFrom('ce_revisions')
    .select(['status', 'reason'])
    .where('app_id', '=', event.workload)
    .where('name', '=', event.revision)
    .executeTakeFirst()
  const next = nextStatus(event)
  if (known === undefined || next === undefined || (known.status === next.status && known.reason === next.reason)) return
  await deps.store.write(async (tx) => await apply({ db: tx.tables<Tables>(), tx, deps }, { workload: event.workload, revision: event.revision, next }))
}

type Next = Pick<RevisionRow, 'status' | 'reason' | 'message'>

async function apply(change: Change, { workload, revision, next }: { workload: string; revision: string; next: Next }): Promise<void> {
  const { db } = change
  const app = await db.selectFrom('ce_apps').selectAll().where('id', '=', workload).executeTakeFirst()
  if (app === undefined) return
  await db.updateTable('ce_revisions').set(next).where('app_id', '=', app.id).where('name', '=', revision).execute()
  // Traffic goes to the newest revision that is ready; word of an older one that comes late does not turn it back.
  if (next.status !== 'ready' || revision !== app.latest_revision || app.ready_revision === revision) return
  await db.updateTable('ce_apps').set({ ready_revision: revision }).where('id', '=', app.id).execute()
  const project = await db.selectFrom('ce_projects').selectAll().where('id', '=', app.project_id).executeTakeFirst()
  if (project === undefined || project.status !== 'active') return
  const [live] = await withRevisions(db, project, [{ ...app, ready_revision: revision }])
  if (live !== undefined) handOver(change, await refreshApp(change, live))
}

function nextStatus({ state, reason }: EdgeEvent & { type: 'revision' }): Next | undefined {
  if (state === 'ready') return { status: 'ready', reason: 'ready', message: '' }
  if (state === 'failed') return { status: 'failed', reason: reason || 'initial_scale_never_achieved', message: '' }
  // Starting is what a revision does after each rest; only the first outcome counts.
  return undefined
}
