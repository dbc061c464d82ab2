import type { Resource } from '@everleaf/http'
import { instanceFor, lookup, notFound, onInstance, type ReadContext } from './service.ts'

/** The control plane's look-up of an instance's addresses (api sheet §1.2). Without a Vault API there is no `vault_api`. */
export const get = lookup({
  resource: (context: ReadContext, { crn = '' }): Promise<Resource> => onInstance(context, { instance: guidOf(crn) }),
  async run(context, { params }) {
    const guid = guidOf(params.crn ?? '')
    const { settings } = context.deps
    return {
      plan: instanceFor(context, { instance: guid }).plan ?? 'standard',
      public_endpoints: { service_api: settings.publicApiUrl(guid) },
      private_endpoints: { service_api: settings.privateApiUrl(guid) },
      encryption: { provider_managed_encryption: 'key_protect' },
    }
  },
})

function guidOf(crn: string): string {
  const parts = crn.split(':')
  if (parts.length !== 10 || parts[4] !== 'secrets-manager' || parts[7] === undefined) throw notFound('This is not the CRN of a Secrets Manager instance.')
  return parts[7]
}
