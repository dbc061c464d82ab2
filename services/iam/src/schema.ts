/** Rows of the tables with the prefix iam_. Times are epoch milliseconds; flags are 0 or 1. */
export type AccountRow = { id: string; name: string; owner_iam_id: string; entity_tag: string; created_at: number }
export type UserRow = { iam_id: string; account: string; email: string; name: string; created_at: number }

export type ServiceIdRow = {
  id: string
  account: string
  name: string
  description: string | null
  unique_instance_crns: string | null
  locked: number
  entity_tag: string
  created_at: number
  modified_at: number
}

export type ApiKeyRow = {
  id: string
  account: string
  iam_id: string
  name: string
  description: string | null
  /** HMAC-SHA256 of the value under a sealed key: a copy of the database is no test bench for guesses. */
  hash: string
  /** The value, sealed; only when the creator asked for store_value. */
  sealed: string | null
  locked: number
  disabled: number
  support_sessions: number
  action_when_leaked: string
  expires_at: number | null
  entity_tag: string
  created_by: string
  created_at: number
  modified_at: number
}

export type ProfileRow = {
  id: string
  account: string
  name: string
  description: string | null
  email: string | null
  entity_tag: string
  created_at: number
  modified_at: number
}

export type LinkRow = {
  id: string
  account: string
  profile: string
  name: string | null
  cr_type: string
  crn: string
  namespace: string | null
  resource_name: string | null
  component_type: string | null
  component_name: string | null
  entity_tag: string
  created_at: number
  modified_at: number
}

export type ClaimRuleRow = { id: string; account: string; profile: string; body: string; entity_tag: string; created_at: number; modified_at: number }

export type PolicyRow = {
  id: string
  account: string
  type: 'access' | 'authorization'
  /** The form it was written in: `body` is that form, word for word. */
  form: 'v1' | 'v2'
  body: string
  /** iam_id of an access policy's subject, source service of an authorization; '' for other subjects. */
  subject: string
  /** What two policies must not share while both are active. */
  fingerprint: string
  state: 'active' | 'deleted'
  entity_tag: string
  created_by: string
  created_at: number
  modified_by: string
  modified_at: number
}

export type KeyRow = {
  kid: string
  purpose: 'access' | 'compute' | 'hmac'
  state: 'next' | 'current' | 'old'
  sealed: string
  public: string
  created_at: number
  retire_at: number | null
}

export type DeletedComponentRow = { project_crn: string; component_type: string; component_name: string; at: number }

export type Tables = {
  iam_accounts: AccountRow
  iam_users: UserRow
  iam_service_ids: ServiceIdRow
  iam_api_keys: ApiKeyRow
  iam_profiles: ProfileRow
  iam_links: LinkRow
  iam_claim_rules: ClaimRuleRow
  iam_policies: PolicyRow
  iam_keys: KeyRow
  iam_deleted_components: DeletedComponentRow
}
