/** One comparison of a policy: `value` is text, a list of texts (…AnyOf) or a boolean (stringExists). */
export type Attribute = { readonly key: string; readonly operator: string; readonly value: unknown }

/** The one inner form of a policy, whichever API wrote it. */
export type Policy = {
  readonly id: string
  readonly account: string
  readonly type: 'access' | 'authorization'
  readonly subject: readonly Attribute[]
  readonly resource: readonly Attribute[]
  /** Role CRNs. */
  readonly roles: readonly string[]
  /** It has a rule or access tags: conditions of a kind that is not evaluated here, so it never applies. */
  readonly conditional: boolean
}

export type AttributeV1 = { readonly name: string; readonly value: string; readonly operator?: string }
export type PolicyBodyV1 = {
  readonly type: 'access' | 'authorization'
  readonly description?: string
  readonly subjects?: readonly { readonly attributes?: readonly AttributeV1[] }[]
  readonly roles: readonly { readonly role_id: string }[]
  readonly resources: readonly { readonly attributes?: readonly AttributeV1[]; readonly tags?: readonly unknown[] }[]
}
export type PolicyBodyV2 = {
  readonly type: 'access' | 'authorization'
  readonly description?: string
  readonly subject?: { readonly attributes: readonly Attribute[] }
  readonly resource?: { readonly attributes: readonly Attribute[]; readonly tags?: readonly unknown[] }
  readonly control: { readonly grant: { readonly roles: readonly { readonly role_id: string }[] } }
  readonly rule?: unknown
  readonly pattern?: string
}

type Head = Pick<Policy, 'id' | 'account'>

export function fromV1(head: Head, body: PolicyBodyV1): Policy {
  return {
    ...head,
    type: body.type,
    subject: (body.subjects ?? []).flatMap((subject) => (subject.attributes ?? []).map(toV2)),
    resource: body.resources.flatMap((resource) => (resource.attributes ?? []).map(toV2)),
    roles: body.roles.map((role) => role.role_id),
    // Access tags are not kept by instances here, so a policy by tags applies to nothing.
    conditional: body.resources.some((resource) => (resource.tags ?? []).length > 0),
  }
}

export function fromV2(head: Head, body: PolicyBodyV2): Policy {
  return {
    ...head,
    type: body.type,
    subject: body.subject?.attributes ?? [],
    resource: body.resource?.attributes ?? [],
    roles: body.control.grant.roles.map((role) => role.role_id),
    conditional: body.rule !== undefined || (body.resource?.tags ?? []).length > 0,
  }
}

/** The v1 form of a v2 policy; undefined for one that v1 cannot say. */
export function v2AsV1(body: PolicyBodyV2): PolicyBodyV1 | undefined {
  const attributes = [...(body.subject?.attributes ?? []), ...(body.resource?.attributes ?? [])]
  const plain = attributes.every(({ operator, value }) => operator === 'stringEquals' && typeof value === 'string')
  if (!plain || body.rule !== undefined || body.pattern !== undefined) return undefined
  const asV1 = (list: readonly Attribute[]) => list.map(({ key, value }) => ({ name: key, value: String(value) }))
  const tags = body.resource?.tags
  return {
    type: body.type,
    ...(body.description === undefined ? {} : { description: body.description }),
    subjects: [{ attributes: asV1(body.subject?.attributes ?? []) }],
    roles: body.control.grant.roles,
    resources: [{ attributes: asV1(body.resource?.attributes ?? []), ...(tags === undefined ? {} : { tags }) }],
  }
}

/** The v2 form of a v1 policy. */
export function v1AsV2(body: PolicyBodyV1): PolicyBodyV2 {
  const tags = body.resources.flatMap((resource) => resource.tags ?? [])
  return {
    type: body.type,
    ...(body.description === undefined ? {} : { description: body.description }),
    subject: { attributes: (body.subjects ?? []).flatMap((subject) => (subject.attributes ?? []).map(toV2)) },
    resource: { attributes: body.resources.flatMap((resource) => (resource.attributes ?? []).map(toV2)), ...(tags.length === 0 ? {} : { tags }) },
    control: { grant: { roles: body.roles.map(({ role_id }) => ({ role_id })) } },
  }
}

function toV2({ name, value, operator }: AttributeV1): Attribute {
  return { key: name, operator: operator ?? 'stringEquals', value }
}

/** The text that an attribute must equal, when it is of that plain kind. */
export function plainValue(attributes: readonly Attribute[], key: string): string | undefined {
  const found = attributes.find((attribute) => attribute.key === key && attribute.operator === 'stringEquals')
  return typeof found?.value === 'string' ? found.value : undefined
}
