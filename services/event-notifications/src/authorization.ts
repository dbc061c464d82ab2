import { ApiError } from '@everleaf/http'
import { CODES } from './errors.ts'
import { readCrn } from './instances.ts'
import type { Parts } from './service.ts'

/** Throws ApiError unless an authorization of this moment lets the service instance act as Event Source Manager. */
export async function needAuthorization({ deps }: Parts, instance: string, sourceCrn: string): Promise<void> {
  const source = readCrn(sourceCrn)
  if (source === undefined) throw new ApiError(400, CODES.badRequest, 'The source is not the CRN of a service instance.')
  if ((await deps.instanceOf(instance)) === undefined) throw new ApiError(404, CODES.notFound, `There is no Event Notifications instance ${instance}.`)
  const question = { sourceService: source.service, sourceInstance: source.instance, sourceAccount: source.account, instance }
  if (await deps.authorizesSource(question)) return
  throw new ApiError(
    403,
    CODES.forbidden,
    `${source.service} is not authorized to send events here. Create an authorization from ${source.service} to event-notifications with the role Event Source Manager.`,
  )
}
