import { call } from './call.ts'
import type { Running } from './platform.ts'

/** A bucket and the GUID of the instance that owns it. */
export type Bucket = { readonly objectStorage: string; readonly bucket: string }

/** A bucket of a new instance, and in it one object, so that nobody deletes the bucket. */
export async function makeBucket({ env }: Pick<Running, 'env'>, owner: { token: string; name: string; group?: string }): Promise<Bucket> {
  const { token, name } = owner
  const group = owner.group ?? (await groupOf(env, token))
  const instance = await call('POST', `${env.RESOURCE_CONTROLLER_URL}/v2/resource_instances`, {
    token,
    body: { name, target: 'global', resource_group: group, resource_plan_id: 'cloud-object-storage-standard' },
  })
  const objectStorage = String((JSON.parse(instance.text) as { guid?: string }).guid)
  const bucket = `${name}-bucket`
  const headers = { 'ibm-service-instance-id': objectStorage }
  for (const [path, body] of [
    [bucket, ''],
    [`${bucket}/${OBJECT}`, `object-of-${name}`],
  ] as const) {
    const { status, text } = await call('PUT', `${env.COS_ENDPOINT}/${path}`, { token, headers, body })
    if (status !== 200) throw new Error(`PUT ${path}: ${status} ${text}`)
  }
  return { objectStorage, bucket }
}

/** The first resource group that the caller sees: that of the account. */
export async function groupOf(env: Running['env'], token: string): Promise<string> {
  const { text } = await call('GET', `${env.RESOURCE_MANAGER_URL}/v2/resource_groups`, { token })
  return (JSON.parse(text) as { resources: readonly { id: string }[] }).resources[0]?.id ?? ''
}

/** The object of `makeBucket`. */
export const OBJECT = 'folder/kept'
