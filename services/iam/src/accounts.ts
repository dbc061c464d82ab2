import { createHash } from 'node:crypto'
import type { Store, Tx } from '@everleaf/store'
import { Secret, type World } from '@everleaf/world'
import { insertApiKey } from './api-keys.ts'
import { insertPolicy } from './policies/rows.ts'
import type { Tables } from './schema.ts'
import type { Deps, IamDeps } from './service.ts'
import { insertServiceId } from './service-ids.ts'
import { nextTag } from './tags.ts'

export type MadeAccount = {
  /** 32 hex digits. */
  readonly account: string
  readonly ownerIamId: string
  readonly ownerKey: Secret
  readonly cliIamId: string
  readonly cliKey: Secret
}

type Context = { readonly store: Store; readonly world: World; readonly deps: Deps; readonly outside: IamDeps }

const PLATFORM_ADMINISTRATOR = 'crn:v1:bluemix:public:iam::::role:Administrator'
const SERVICE_MANAGER = 'crn:v1:bluemix:public:iam::::serviceRole:Manager'
/** The service ID that the command line works as. */
const CLI_NAME = 'everleaf-cli'

/** The platform's account; made with its owner and the command line's service ID when there is none. Keys are in the first answer and nowhere else. */
export async function bootstrap(context: Context): Promise<{ account: string; ownerKey?: Secret; cliKey?: Secret }> {
  const first = await context.store.tables<Tables>().selectFrom('iam_accounts').select('id').orderBy('created_at').limit(1).executeTakeFirst()
  if (first !== undefined) return { account: first.id }
  const { account, ownerKey, cliKey } = await createAccount(context, {
    name: 'Everleaf',
    email: context.deps.settings.adminEmail ?? 'admin@everleaf.localhost',
  })
  return { account, ownerKey, cliKey }
}

/** Makes an account with its owner (a user) and a command line service ID, both with an API key and every right in the account. */
export async function createAccount(context: Context, { name, email }: { name: string; email: string }): Promise<MadeAccount> {
  const { store, world, deps, outside } = context
  return await store.write(async (tx) => {
    const db = tx.tables<Tables>()
    const account = world.randomBytes(16).toString('hex')
    const now = world.now().getTime()
    const ownerIamId = `IBMid-${createHash('sha256').update(account).digest('hex').slice(0, 10).toUpperCase()}`
    await db
      .insertInto('iam_accounts')
      .values({ id: account, name, owner_iam_id: ownerIamId, entity_tag: nextTag(world), created_at: now })
      .execute()
    await db
      .insertInto('iam_users')
      .values({ iam_id: ownerIamId, account, email, name: email.split('@')[0] ?? email, created_at: now })
      .execute()
    const cli = await insertServiceId(tx, world, { account, name: CLI_NAME, description: 'What the everleaf command works as.' })
    const cliIamId = `iam-${cli.id}`
    for (const iamId of [ownerIamId, cliIamId]) await allowEverything(tx, world, account, iamId)
    const key = (iamId: string, keyName: string) => insertApiKey(tx, { ...deps, world }, { account, iamId, createdBy: ownerIamId, name: keyName })
    const ownerKey = new Secret((await key(ownerIamId, 'owner')).value)
    const cliKey = new Secret((await key(cliIamId, CLI_NAME)).value)
    await outside.accountCreated?.(tx, account)
    deps.revision.move(tx)
    return { account, ownerIamId, ownerKey, cliIamId, cliKey }
  })
}

/** Replaces the API keys of the account's command line service ID by one new key. */
export async function newCliKey({ store, world, deps }: Context, account: string): Promise<Secret> {
  return await store.write(async (tx) => {
    const db = tx.tables<Tables>()
    const cli = await db
      .selectFrom('iam_service_ids')
      .select('id')
      .where('account', '=', account)
      .where('name', '=', CLI_NAME)
      .orderBy('created_at')
      .executeTakeFirst()
    if (cli === undefined) throw new Error(`account ${account} has no service ID ${CLI_NAME}`)
    const iamId = `iam-${cli.id}`
    await db.deleteFrom('iam_api_keys').where('iam_id', '=', iamId).execute()
    deps.revision.move(tx)
    return new Secret((await insertApiKey(tx, { ...deps, world }, { account, iamId, createdBy: iamId, name: CLI_NAME })).value)
  })
}

/** Ordinary policies: Administrator and Manager on all services, Administrator of the account management services and groups. */
async function allowEverything(tx: Tx, world: World, account: string, iamId: string): Promise<void> {
  const grant = (serviceType: string, roles: readonly string[]) =>
    insertPolicy(tx, world, {
      account,
      by: iamId,
      form: 'v1',
      body: {
        type: 'access',
        subjects: [{ attributes: [{ name: 'iam_id', value: iamId }] }],
        roles: roles.map((role_id) => ({ role_id })),
        resources: [
          {
            attributes: [
              { name: 'accountId', value: account },
              { name: 'serviceType', value: serviceType },
            ],
          },
        ],
      },
    })
  await grant('service', [PLATFORM_ADMINISTRATOR, SERVICE_MANAGER])
  await grant('platform_service', [PLATFORM_ADMINISTRATOR])
}
