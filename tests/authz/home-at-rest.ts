import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createServer, mountService } from '@everleaf/http'
import { createIam } from '@everleaf/iam'
import { migrations } from '@everleaf/platform/migrations'
import { createResourceController } from '@everleaf/resource-controller'
import { openStore, openVault } from '@everleaf/store'
import { createWorld } from '@everleaf/world'

export const ISSUER = 'https://iam.cloud.ibm.com/identity'

export type AtRest = {
  readonly iam: Awaited<ReturnType<typeof createIam>>
  /** What the token endpoint gives for an API key. */
  readonly token: (apikey: string) => Promise<string>
}

/**
 * IAM alone over the database of a home whose platform is stopped: for further accounts, which no API makes, and for tokens that are
 * signed with the right key and wrong in one other thing.
 */
export async function withHome<T>(home: string, options: { issuer?: string; offsetMs?: number }, work: (parts: AtRest) => Promise<T>): Promise<T> {
  const world = createWorld({ offsetMs: options.offsetMs ?? 0 })
  const store = await openStore({ file: join(home, 'data/everleaf.db'), world, migrations })
  const server = createServer(world)
  try {
    const vault = await openVault({ store, world, rootKey: readFileSync(join(home, 'keys/root.key')) })
    const controller = createResourceController({ world, store, settings: { region: 'us-south' }, deps: { onDeleted: async () => {} } })
    const { instanceOf, accountCreated } = controller
    const iam = await createIam({ world, store, vault, deps: { instanceOf, accountCreated }, settings: { issuer: options.issuer ?? ISSUER } })
    for (const service of iam.services) mountService(server, service, { world, store, guard: iam.guard })
    const token = async (apikey: string) => {
      const payload = new URLSearchParams({ grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey }).toString()
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      const reply = await server.inject({ method: 'POST', url: '/iam/identity/token', headers, payload })
      if (reply.statusCode !== 200) throw new Error(`no token: ${reply.statusCode} ${reply.body}`)
      return (reply.json() as { access_token: string }).access_token
    }
    return await work({ iam, token })
  } finally {
    await server.close()
    await store.close()
  }
}
