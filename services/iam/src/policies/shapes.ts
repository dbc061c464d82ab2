import { Type } from 'typebox'

const Text = (max: number) => Type.String({ maxLength: max })
const PolicyType = Type.Enum(['access', 'authorization'])
const Description = Type.Optional(Text(300))
const Roles = Type.Array(Type.Object({ role_id: Type.String({ minLength: 1, maxLength: 500 }) }), { minItems: 1, maxItems: 50 })

export const NewPolicyV1 = Type.Object({
  type: PolicyType,
  description: Description,
  subjects: Type.Optional(
    Type.Array(Type.Object({ attributes: Type.Optional(Type.Array(Type.Object({ name: Text(200), value: Text(1_000) }), { maxItems: 20 })) }), {
      minItems: 1,
      maxItems: 1,
    }),
  ),
  roles: Roles,
  resources: Type.Array(
    Type.Object({
      attributes: Type.Optional(Type.Array(Type.Object({ name: Text(200), value: Text(1_000), operator: Type.Optional(Text(50)) }), { maxItems: 20 })),
      tags: Type.Optional(Type.Array(Type.Object({ name: Text(200), value: Text(1_000), operator: Type.Optional(Text(50)) }), { maxItems: 20 })),
    }),
    { minItems: 1, maxItems: 1 },
  ),
})

const Value = Type.Union([Text(1_000), Type.Boolean(), Type.Array(Text(1_000), { maxItems: 10 })])
const AttributesV2 = Type.Array(Type.Object({ key: Text(200), operator: Text(50), value: Value }), { maxItems: 20 })
const Condition = Type.Object({ key: Text(200), operator: Text(50), value: Value })

export const NewPolicyV2 = Type.Object({
  type: PolicyType,
  description: Description,
  subject: Type.Optional(Type.Object({ attributes: AttributesV2 })),
  resource: Type.Optional(
    Type.Object({
      attributes: AttributesV2,
      tags: Type.Optional(Type.Array(Type.Object({ key: Text(200), value: Text(1_000), operator: Text(50) }), { maxItems: 20 })),
    }),
  ),
  control: Type.Object({ grant: Type.Object({ roles: Roles }) }),
  rule: Type.Optional(
    Type.Union([
      Condition,
      Type.Object({
        operator: Type.Enum(['and', 'or']),
        conditions: Type.Array(
          Type.Union([Condition, Type.Object({ operator: Type.Enum(['and', 'or']), conditions: Type.Array(Condition, { minItems: 1, maxItems: 10 }) })]),
          { minItems: 1, maxItems: 10 },
        ),
      }),
    ]),
  ),
  pattern: Type.Optional(Text(200)),
})

export const PolicyState = Type.Object({ state: Type.Literal('active') })

export const PolicyQuery = Type.Object({
  account_id: Type.String({ maxLength: 64 }),
  iam_id: Type.Optional(Text(200)),
  access_group_id: Type.Optional(Text(200)),
  type: Type.Optional(PolicyType),
  service_type: Type.Optional(Type.Enum(['service', 'platform_service'])),
  service_name: Type.Optional(Text(200)),
  service_group_id: Type.Optional(Text(200)),
  tag_name: Type.Optional(Text(200)),
  tag_value: Type.Optional(Text(200)),
  sort: Type.Optional(Text(100)),
  format: Type.Optional(Text(50)),
  state: Type.Optional(Type.Enum(['active', 'deleted'])),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  start: Type.Optional(Text(1_024)),
})

export const RoleQuery = Type.Object({
  account_id: Type.Optional(Text(64)),
  service_name: Type.Optional(Text(200)),
  source_service_name: Type.Optional(Text(200)),
  policy_type: Type.Optional(Text(50)),
  service_group_id: Type.Optional(Text(200)),
})
