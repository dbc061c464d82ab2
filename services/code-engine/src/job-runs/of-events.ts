import { ApiError } from '@everleaf/http'
import { findProjectById } from '../apps/rows.ts'
import { findJob } from '../jobs/operations.ts'
import { readStored } from '../jobs/shapes.ts'
import type { Change } from '../service.ts'
import { submit } from './operations.ts'

/** Runs that Event Notifications submits go ten minutes after their end (Code Engine's page of its events). */
const KEPT_MS = 10 * 60_000
/** The variable in which such a run finds the event, as JSON. */
const EVENT_VARIABLE = 'ibmendata'

/**
 * Submits a run of a job with an event: one index, the job's own variables and the event's. Gives a status as the API has them, 202 when it is
 * submitted; nothing is written otherwise.
 */
export async function runForEvent(
  change: Change,
  { project: id, job: name, event }: { project: string; job: string; event: string },
): Promise<{ status: number; error?: string }> {
  const project = await findProjectById(change.db, id)
  if (project?.status !== 'active') return { status: 404, error: 'there is no such Code Engine project, or it is not active' }
  try {
    const own = readStored((await findJob(change.db, project.id, name)).settings).run_env_variables
    // Of two of one name the later one counts.
    const run_env_variables = [...own, { type: 'literal' as const, name: EVENT_VARIABLE, value: event }]
    await submit(change, project, { job_name: name, scale_array_spec: '0', run_env_variables }, { keptMs: KEPT_MS })
    return { status: 202 }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    // An event that is too large for a job run does not become smaller.
    return { status: error.status === 413 ? 422 : error.status, error: error.message.slice(0, 300) }
  }
}
