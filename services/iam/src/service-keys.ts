import { ApiError } from '@everleaf/http'
import type { Tx } from '@everleaf/store'
import type { World } from '@everleaf/world'
import { insertApiKey } from './api-keys.ts'
import { IDENTITY_CODES } from './errors.ts'
import { insertPolicy } from './policies/rows.ts'
import { rolesOf, serviceNamed } from './roles/index.ts'
import type { Deps } from './service.ts'
import { insertServiceId } from './service-ids.ts'

export type ServiceKeyRequest = {
  readonly account: string
  readonly instance: { readonly guid: string; readonly service: string }
  /** CRN or display name; default Manager. */
  readonly role: string | undefined
  readonly name: string
  readonly createdBy: string
}
export type MadeServiceKey = {
  readonly serviceId: string
  readonly serviceIdCrn: string
  readonly roleCrn: string
  readonly apikey: string
  readonly apikeyName: string
}

/** Makes what a resource key stands for: a service ID with an API key and one role on the instance. The caller moves the revision. */
export async function createServiceKey(tx: Tx, { world, deps }: { world: World; deps: Deps }, request: ServiceKeyRequest): Promise<MadeServiceKey> {
  const { account, instance, createdBy: by } = request
  const service = serviceNamed(instance.service)
  const wanted = request.role ?? 'Manager'
  const role = service && rolesOf(service).find(({ crn, display_name }) => crn === wanted || display_name === wanted)
  if (role === undefined) throw new ApiError(400, IDENTITY_CODES.badRequest, `${instance.service} has no such role. Its roles are listed by GET /v2/roles.`)
  const row = await insertServiceId(tx, world, { account, name: `Service credentials ${request.name}` })
  const iamId = `iam-${row.id}`
  const attributes = Object.entries({ accountId: account, serviceName: instance.service, serviceInstance: instance.guid })
  await insertPolicy(tx, world, {
    account,
    by,
    form: 'v1',
    body: {
      type: 'access',
      subjects: [{ attributes: [{ name: 'iam_id', value: iamId }] }],
      roles: [{ role_id: role.crn }],
      resources: [{ attributes: attributes.map(([name, value]) => ({ name, value })) }],
    },
  })
  const key = await insertApiKey(tx, { ...deps, world }, { account, iamId, createdBy: by, name: request.name })
  const serviceIdCrn = `crn:v1:bluemix:public:iam-identity::a/${account}::serviceid:${row.id}`
  return { serviceId: row.id, serviceIdCrn, roleCrn: role.crn, apikey: key.value, apikeyName: request.name }
}
