import { ApiError } from '@everleaf/http'
import type { Tx } from '@everleaf/store'
import type { DestinationConfig } from './config.ts'
import { CODES } from './errors.ts'
import { readCrn } from './instances.ts'
import type { Sent } from './send.ts'
import type { Parts } from './service.ts'

type Job = { readonly instance: string; readonly projectCrn: string; readonly job: string; readonly body: string }

/** Submits a run of the job, as an authorization of this moment lets Event Notifications do; its outcome reads like an answer over HTTP. */
export async function runJob(tx: Tx, { deps }: Parts, { instance, projectCrn, job, body }: Job): Promise<Sent> {
  const project = readCrn(projectCrn)?.instance ?? ''
  const refusal = await refusalOf(deps, { instance, project })
  return refusal === undefined ? await deps.runJob(tx, { project, job, event: body }) : { status: 403, error: refusal }
}

/** Throws ApiError unless Event Notifications may run jobs of the project that the config names. */
export async function needJobAuthorization({ deps }: Parts, instance: string, config: DestinationConfig | undefined): Promise<void> {
  const crn = config?.params.type === 'job' ? config.params.project_crn : undefined
  if (typeof crn !== 'string') return
  const refusal = await refusalOf(deps, { instance, project: readCrn(crn)?.instance ?? '' })
  if (refusal !== undefined) throw new ApiError(403, CODES.forbidden, refusal)
}

async function refusalOf(deps: Parts['deps'], { instance, project }: { instance: string; project: string }): Promise<string | undefined> {
  const account = (await deps.instanceOf(instance))?.account ?? ''
  if (await deps.mayRunJobs({ instance, account, project })) return undefined
  return 'event-notifications is not authorized to run jobs of this Code Engine project. Create an authorization from event-notifications to codeengine with the roles Viewer and Writer: ibmcloud iam authorization-policy-create event-notifications codeengine Viewer,Writer'
}
