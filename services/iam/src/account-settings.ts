import { notFound } from './identity.ts'
import { lookup } from './service.ts'

/** The identity settings of an account, all at what IBM calls NOT_SET: changing them does not exist here yet. */
export const get = lookup({
  async run({ db, identity, setHeader }, { params }) {
    const account = await db.selectFrom('iam_accounts').selectAll().where('id', '=', identity.account).executeTakeFirst()
    if (account === undefined || params.account !== account.id) throw notFound('The account')
    setHeader('etag', account.entity_tag)
    return { account_id: account.id, entity_tag: account.entity_tag, ...UNSET, user_mfa: [], restrict_user_domains: [] }
  },
})

const UNSET = Object.fromEntries(
  [
    'restrict_create_service_id',
    'restrict_create_platform_apikey',
    'allowed_ip_addresses',
    'mfa',
    'session_expiration_in_seconds',
    'session_invalidation_in_seconds',
    'max_sessions_per_identity',
    'system_access_token_expiration_in_seconds',
    'system_refresh_token_expiration_in_seconds',
    'restrict_user_list_visibility',
  ].map((name) => [name, 'NOT_SET']),
)
