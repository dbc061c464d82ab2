import { readFileSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { Value } from 'typebox/value'
import { type Document, isMap, isNode, isScalar, LineCounter, type Node, parseDocument } from 'yaml'
import { WrongUse } from '../home.ts'
import type { Desired, Deployment, Material, WantedRenewal, WantedSource } from './desired.ts'
import { Manifest, type ManifestData, type RenewalData } from './manifest-schema.ts'
import type { Place } from './place.ts'

type Path = readonly (string | number)[]

/** What a file says, and where in it. */
export type ManifestFile = { readonly data: ManifestData; readonly folder: string; at(path: Path): string }

const MAX_BYTES = 1_000_000

/** Reads and checks everleaf.yaml. Throws WrongUse with the file and line of everything that is wrong with it. */
export function readManifest(file: string): ManifestFile {
  const text = read(file, 'Write one (docs/reference/renewals.md shows how), or name it with --file.')
  if (text.length > MAX_BYTES) throw new WrongUse(`${file} is larger than ${MAX_BYTES} bytes: it cannot be meant.`)
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const name = basename(file)
  const lineAt = (offset: number | undefined) => (offset === undefined ? name : `${name}:${lines.linePos(offset).line}`)
  if (document.errors.length > 0) throw new WrongUse(document.errors.map(({ pos, message }) => `${lineAt(pos[0])}: this is not YAML: ${message}`).join('\n'))
  const at = (path: Path) => lineAt(offsetOf(document, path))
  const data = valueOf(document, name)
  const problems = [...schemaProblems(data, at), ...(Value.Check(Manifest, data) ? sharedNames(data, at) : [])]
  if (problems.length > 0) throw new WrongUse(problems.join('\n'))
  return { data: data as ManifestData, folder: dirname(resolve(file)), at }
}

function valueOf(document: Document, name: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch (cause) {
    throw new WrongUse(`${name}: this cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

/** Where a value begins; that of what it would stand in, where it is missing. */
function offsetOf(document: Document, path: Path): number | undefined {
  for (let length = path.length; length >= 0; length--) {
    const key = path[length - 1]
    const parent: unknown = length === 0 ? undefined : document.getIn(path.slice(0, length - 1), true)
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === key)
      if (pair !== undefined && isNode(pair.key)) return (pair.key as Node).range?.[0]
    }
    const node: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true)
    if (isNode(node)) return node.range?.[0]
  }
  return undefined
}

function schemaProblems(data: unknown, at: (path: Path) => string): string[] {
  const seen = new Map<string, string>()
  for (const { instancePath, keyword, message, params } of Value.Errors(Manifest, data)) {
    const path = pathOf(instancePath)
    // Each form of a source has its own complaints: one sentence says what there is.
    const isSource = path[0] === 'renewals' && path[2] === 'source'
    const where = isSource ? path.slice(0, 3) : path
    const missing = keyword === 'required' && 'requiredProperties' in params ? ` has no ${(params.requiredProperties as string[]).join(', ')}` : undefined
    const problem = isSource
      ? SOURCE
      : keyword === 'boolean'
        ? ` is not known here${near(path)}`
        : keyword === 'additionalProperties'
          ? undefined
          : (missing ?? ` ${said(keyword, params, { message, isWhole: path.length === 0 })}`)
    if (problem !== undefined) seen.set(`${wording(where)}${problem}`, at(where))
  }
  return [...seen].map(([problem, place]) => `${place}: ${problem}`)
}

const SOURCE = ' is one of {id}, {name, group}, {group}, {label}, or {certificate, key, intermediate} with files of your own'

function said(keyword: string, params: object, { message, isWhole }: { message: string; isWhole: boolean }): string {
  if (keyword === 'type' && 'type' in params && params.type === 'object' && isWhole) return 'must begin with a member such as `renewals:`'
  if (keyword === 'enum' && 'allowedValues' in params) return `is one of ${(params.allowedValues as unknown[]).join(', ')}`
  if (keyword === 'const' && 'allowedValue' in params) return `must be ${String(params.allowedValue)}`
  if (keyword === 'pattern' && 'pattern' in params) return `must be like ${String(params.pattern)}`
  return message
}

function near(path: Path): string {
  const known: Readonly<Record<string, string>> = { domain: 'hosts', host: 'hosts', certificate: 'source', secret: 'source', secrets_manager: 'secretsManager' }
  const better = known[String(path.at(-1))]
  return better === undefined ? '; docs/reference/renewals.md shows what is' : `; did you mean ${better}?`
}

function wording(path: Path): string {
  return path.length === 0
    ? 'the file'
    : path.reduce<string>((text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`), '')
}

function pathOf(pointer: string): Path {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part))
}

function sharedNames({ renewals }: ManifestData, at: (path: Path) => string): string[] {
  return renewals.flatMap(({ name }, index) => {
    const first = renewals.findIndex((other) => other.name === name)
    return first === index ? [] : [`${at(['renewals', index, 'name'])}: ${name} is the name of another renewal already (${at(['renewals', first, 'name'])})`]
  })
}

/** What a file asks for, with the files that it names, for a place. Throws WrongUse. */
export async function desiredOf(manifest: ManifestFile, place: Place, deployment: Deployment): Promise<Desired> {
  const groups = await groupIds(manifest, place)
  return { deployment, renewals: manifest.data.renewals.map((renewal, index) => wanted(renewal, { manifest, index, groups, place })) }
}

type Around = { readonly manifest: ManifestFile; readonly index: number; readonly groups: ReadonlyMap<string, string>; readonly place: Place }

function wanted(renewal: RenewalData, { manifest, index, groups, place }: Around): WantedRenewal {
  const { name, hosts, probes, accept = [], trust, target = `${name}-tls` } = renewal
  const at = (...path: Path) => manifest.at(['renewals', index, ...path])
  const probed = (probes ?? hosts).map((probe) => {
    const { port, connect } = { port: undefined, connect: undefined, ...probe } as { port?: number; connect?: string }
    // Where a port is named, the platform's own listener is not meant.
    const to = connect ?? (port === undefined ? place.probe.connect : undefined)
    return { host: probe.host, port: port ?? place.probe.port, ...(to === undefined ? {} : { connect: to }) }
  })
  return {
    name,
    at: at(),
    source: sourceIn(renewal, { at, folder: manifest.folder, groups }),
    target,
    bindings: hosts.flatMap(({ host, app }, i) => (app === undefined ? [] : [{ host, app, at: at('hosts', i) }])),
    probes: probed,
    boundHosts: hosts.map(({ host }) => host).filter((host) => !probed.some((probe) => probe.host === host)),
    accept,
    ...(trust === undefined ? {} : { trust: trust === 'public' ? trust : fileIn(manifest.folder, trust, at('trust')) }),
  }
}

function sourceIn(
  { name, source }: RenewalData,
  { at, folder, groups }: { at: (...path: Path) => string; folder: string; groups: ReadonlyMap<string, string> },
): WantedSource {
  if ('certificate' in source) {
    const file = (text: string, member: string) => fileIn(folder, text, at('source', member))
    const material: Material = {
      certificate: file(source.certificate, 'certificate'),
      private_key: file(source.key, 'key'),
      ...(source.intermediate === undefined ? {} : { intermediate: file(source.intermediate, 'intermediate') }),
    }
    return { files: material, secret: source.secret ?? name }
  }
  if (!('group' in source) || source.group === undefined) return source as WantedSource
  const group = groups.get(source.group)
  if (group === undefined)
    throw new WrongUse(
      `${at('source', 'group')}: Secrets Manager has no secret group ${source.group}. There are: ${[...groups]
        .filter(([key, id]) => key !== id || key === 'default')
        .map(([key]) => key)
        .join(', ')}.`,
    )
  return { ...source, group }
}

function fileIn(folder: string, file: string, at: string): string {
  return read(resolve(folder, file), `It is named in ${at}.`)
}

function read(file: string, next: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new WrongUse(`${file} cannot be read: ${cause instanceof Error && 'code' in cause ? String(cause.code) : 'no reason given'}. ${next}`, { cause })
  }
}

/** Secret groups by name and by id; asked for only where the file names one. */
async function groupIds({ data }: ManifestFile, { secretsManager }: Place): Promise<ReadonlyMap<string, string>> {
  if (!data.renewals.some(({ source }) => 'group' in source)) return new Map()
  const groups = await secretsManager.listGroups()
  return new Map([['default', 'default'], ...groups.flatMap(({ id, name }) => [[name, id] as const, [id, id] as const])])
}
