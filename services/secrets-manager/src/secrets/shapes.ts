import { Type } from 'typebox'
import { Description, FreeObject, Labels, SecretName } from '../names.ts'
import { Limit, Offset } from '../pages.ts'

const Pem = Type.String({ minLength: 50, maxLength: 100_000 })
const Payload = Type.String({ maxLength: 1_000_000 })
const DateTime = Type.String({ minLength: 20, maxLength: 40 })

/** One shape for all types: which members belong to which type is decided by `secret_type` afterwards. */
export const NewSecret = Type.Object({
  secret_type: Type.String(),
  name: SecretName,
  description: Type.Optional(Description),
  secret_group_id: Type.Optional(Type.String({ minLength: 7, maxLength: 36 })),
  labels: Type.Optional(Labels),
  custom_metadata: Type.Optional(FreeObject),
  version_custom_metadata: Type.Optional(FreeObject),
  certificate: Type.Optional(Pem),
  intermediate: Type.Optional(Pem),
  private_key: Type.Optional(Pem),
  managed_csr: Type.Optional(Type.Unknown()),
  payload: Type.Optional(Payload),
  expiration_date: Type.Optional(DateTime),
})

export const SecretPatch = Type.Object({
  name: Type.Optional(SecretName),
  description: Type.Optional(Description),
  labels: Type.Optional(Labels),
  custom_metadata: Type.Optional(FreeObject),
  managed_csr: Type.Optional(Type.Unknown()),
  expiration_date: Type.Optional(Type.Union([DateTime, Type.Null()])),
})

export const NewVersion = Type.Object({
  certificate: Type.Optional(Pem),
  intermediate: Type.Optional(Pem),
  private_key: Type.Optional(Pem),
  payload: Type.Optional(Payload),
  custom_metadata: Type.Optional(FreeObject),
  version_custom_metadata: Type.Optional(FreeObject),
})

export const VersionPatch = Type.Object({ version_custom_metadata: Type.Optional(FreeObject) })

export const SecretsQuery = Type.Object({
  offset: Offset,
  limit: Limit,
  sort: Type.Optional(Type.String({ pattern: '^-?(id|created_at|updated_at|retrieved_at|expiration_date|secret_type|name)$' })),
  search: Type.Optional(Type.String({ minLength: 2, maxLength: 128 })),
  groups: Type.Optional(Type.String({ maxLength: 8_192 })),
  secret_types: Type.Optional(Type.String({ maxLength: 256 })),
  match_all_labels: Type.Optional(Type.String({ maxLength: 2_048 })),
})

/** The published types of secrets; those that are not here yet answer 501 by name. */
export const SECRET_TYPES = [
  'arbitrary',
  'username_password',
  'iam_credentials',
  'service_credentials',
  'custom_credentials',
  'kv',
  'imported_cert',
  'public_cert',
  'private_cert',
] as const
