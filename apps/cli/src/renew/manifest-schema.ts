import Type, { type Static } from 'typebox'

const closed = { additionalProperties: false } as const
const text = (description: string, more: object = {}) => Type.String({ minLength: 1, maxLength: 512, description, ...more })
const host = (description: string) => Type.String({ minLength: 1, maxLength: 253, description })
const UUID = '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
const LABEL = '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'

const ById = Type.Object({ id: text('Id of the secret.', { pattern: UUID }) }, closed)
const ByName = Type.Object(
  { name: text('Name of the secret.'), group: Type.Optional(text('Name or id of its secret group; without it any group.')) },
  { ...closed, description: 'One secret by its name.' },
)
const ByGroup = Type.Object({ group: text('Name or id of the secret group.') }, { ...closed, description: 'The only certificate of a group.' })
const ByLabel = Type.Object({ label: text('A label.') }, { ...closed, description: 'The only certificate with a label.' })
const ByFiles = Type.Object(
  {
    certificate: text('PEM file, beside this file or by its whole path: the leaf, and what is above it where it is in the same file.'),
    key: text('PEM file of the private key, not encrypted.'),
    intermediate: Type.Optional(text('PEM file of the chain above the leaf.')),
    secret: Type.Optional(text('Name of the secret that is made of them; without it that of the renewal.')),
  },
  { ...closed, description: 'Files of your own: a secret is made of them, and a new version of it when the files are newer.' },
)

const Probe = Type.Object(
  {
    host: host('The name that the client asks for.'),
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, description: "443; on Everleaf the platform's public TLS port." })),
    connect: Type.Optional(text('Address, or address:port, to open instead of where the name leads.')),
  },
  closed,
)

const RenewalEntry = Type.Object(
  {
    name: Type.String({ description: 'Unique in the project.', pattern: LABEL, maxLength: 63 }),
    source: Type.Union([ById, ByName, ByGroup, ByLabel, ByFiles], {
      description: 'Where the certificate comes from: {id}, {name, group}, {group}, {label}, or {certificate, key, intermediate}.',
    }),
    target: Type.Optional(text('Code Engine secret of format tls that it is put into; without it <name>-tls.', { maxLength: 240 })),
    hosts: Type.Array(
      Type.Object(
        {
          host: host('A host that is served with the certificate.'),
          app: Type.Optional(text('Map the host to this app; without it the host is mapped already, or elsewhere.', { pattern: LABEL, maxLength: 63 })),
        },
        closed,
      ),
      { minItems: 1, maxItems: 50, description: 'What is served with it.' },
    ),
    probes: Type.Optional(
      Type.Array(Probe, { minItems: 1, maxItems: 50, description: 'Where TLS clients must see a new certificate; without it every host.' }),
    ),
    accept: Type.Optional(Type.Array(Type.Enum(['no-san', 'ca-leaf', 'lone-leaf']), { maxItems: 3, description: 'What the gate may let through.' })),
    trust: Type.Optional(text('"public", or a PEM file of roots; without it a chain is judged up to its own last certificate.')),
  },
  closed,
)

/** What `everleaf.yaml` may say. The published docs/reference/everleaf.schema.json is made of it. */
export const Manifest = Type.Object(
  {
    version: Type.Literal(1, { description: 'Of this form.' }),
    target: Type.Optional(Type.Enum(['everleaf', 'ibm'], { description: 'Where the pipeline lives; --target wins. everleaf without it.' })),
    region: Type.Optional(text('Region of the instances; needed on IBM Cloud.', { pattern: '^[a-z]+-[a-z]+$' })),
    project: Type.Optional(text("Code Engine project, by name or id; the platform's own without it.")),
    secretsManager: Type.Optional(text("Secrets Manager instance, by name or id; the platform's own without it.")),
    eventNotifications: Type.Optional(text("Event Notifications instance, by name or id; the platform's own without it.")),
    sync: Type.Optional(
      Type.Object(
        {
          name: Type.Optional(
            Type.String({ description: 'Name of the sync app, after which the whole pipeline is named: sync.', pattern: LABEL, maxLength: 50 }),
          ),
          visibility: Type.Optional(
            Type.Enum(['private', 'public'], {
              description: 'Who may reach it; private on Everleaf, public on IBM Cloud. It answers only who knows its header.',
            }),
          ),
          image: Type.Optional(text('Run this image, which is one of sync, instead of its source.')),
          nodeImage: Type.Optional(
            text('Run the code of sync, kept in a config map, by the Node of this image; on IBM Cloud that of Red Hat without it. It is looked for as `node`.'),
          ),
          imageSecret: Type.Optional(text('Registry secret of the project for the image.')),
          proofLimitSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 600, description: 'How long a new certificate may take to be served: 30.' })),
        },
        { ...closed, description: 'The app that carries the certificates.' },
      ),
    ),
    renewals: Type.Array(RenewalEntry, { maxItems: 500, description: 'What is kept fresh.' }),
  },
  { ...closed, title: 'Renewals of Everleaf', description: 'What `everleaf renew plan` and `everleaf renew apply` read: everleaf.yaml.' },
)

export type ManifestData = Static<typeof Manifest>
export type RenewalData = Static<typeof RenewalEntry>

/** The schema as it is published. */
export function publishedSchema(): object {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://everleaf.example/everleaf.schema.json',
    ...(JSON.parse(JSON.stringify(Manifest)) as object),
  }
}

/** The form of the file, by an example; the reference shows it. */
export const EXAMPLE = `version: 1
renewals:
  # a certificate that Secrets Manager has, on a host that is mapped already
  - name: shop
    source: { name: shop-certificate, group: default }
    target: shop-tls
    hosts:
      - host: shop.example.com

  # files of your own: a secret is made of them, and both hosts are mapped to an app
  - name: inside
    source:
      certificate: inside.pem
      key: inside.key
      intermediate: authority.pem
    hosts:
      - host: inside.example.com
        app: inside
      - host: admin.example.com
        app: admin
    accept: [lone-leaf]
    trust: root.pem
`

/** Every member, by its path, with what the schema says of it. */
export function members(): readonly (readonly [string, string])[] {
  const walk = (schema: Shown, path: string): (readonly [string, string])[] =>
    [...(schema.anyOf ?? [schema.items ?? schema])].flatMap((one) =>
      Object.entries(one.properties ?? {}).flatMap(([name, inner]) => {
        const at = path === '' ? name : `${path}.${name}`
        const isList = inner.items !== undefined
        return [[isList ? `${at}[]` : at, inner.description ?? ''] as const, ...walk(inner, isList ? `${at}[]` : at)]
      }),
    )
  const found = walk(Manifest as Shown, '')
  // A name that several forms of a source have is said once for each meaning.
  return found.filter(([path, text], i) => found.findIndex(([other, said]) => other === path && said === text) === i)
}

type Shown = {
  readonly description?: string
  readonly properties?: Readonly<Record<string, Shown>>
  readonly items?: Shown
  readonly anyOf?: readonly Shown[]
}
