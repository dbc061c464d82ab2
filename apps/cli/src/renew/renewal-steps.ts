import type { Source } from '@everleaf/renewals'
import { type Renewal, renewalsMap } from '../renewals.ts'
import type { WantedRenewal } from './desired.ts'
import { isEqual } from './equal.ts'
import type { Observed, SourceSeen } from './observe.ts'
import type { Draft, Names, Right } from './steps.ts'

/** What is missing of one renewal. */
export function renewalSteps({ app, project, manager, notifications }: Names, renewal: WantedRenewal, observed: Observed): Draft[] {
  const { name, target, source } = renewal
  const writer: Right = { role: 'Writer', service: 'codeengine', instance: project }
  const seen = observed.sources.get(name)
  const steps: Draft[] = []
  if ('files' in source && seen?.secret === undefined)
    steps.push({
      thing: { kind: 'secret', name: source.secret },
      what: `${name}: secret ${source.secret} in Secrets Manager, from the files`,
      call: 'POST /api/v2/secrets',
      rights: [{ role: 'Writer', service: 'secrets-manager', instance: manager.guid }],
      why: 'a certificate is rotated there from now on',
      act: { do: 'make-secret', renewal },
      touches: 'sources',
    })
  if ('files' in source && isNewer(seen))
    steps.push({
      does: 'change',
      thing: { kind: 'secret', name: source.secret },
      what: `${name}: a new version of the secret ${source.secret}, because the files are newer`,
      call: 'POST /api/v2/secrets/{id}/versions',
      rights: [{ role: 'Writer', service: 'secrets-manager', instance: manager.guid }],
      why: 'the files were renewed',
      act: { do: 'make-version', renewal },
      touches: 'sources',
    })
  if (observed.targets.get(target) === undefined && !target.includes('{secret}'))
    steps.push({
      thing: { kind: 'code-engine-secret', name: target },
      what: `${name}: Code Engine secret ${target}, with the present certificate`,
      call: 'POST /v2/projects/{id}/secrets',
      rights: [writer, { role: 'SecretsReader', service: 'secrets-manager', instance: manager.guid }],
      why: 'what sync will replace at each rotation',
      act: { do: 'make-target', renewal },
      touches: 'targets',
      awaited: [{ kind: 'code-engine-secret', name: `${target}.last-good` }],
    })
  for (const { host, app: to } of renewal.bindings)
    if (!observed.mappings.has(host))
      steps.push({
        thing: { kind: 'mapping', name: host },
        what: `${name}: ${host} leads to the app ${to}, served with ${target}`,
        call: 'POST /v2/projects/{id}/domain_mappings',
        rights: [writer],
        why: 'the file binds this host',
        act: { do: 'make-mapping', host, app: to, target },
        touches: 'mappings',
      })
  const wanted = entryOf(renewal, observed)
  const known = observed.list.renewals.find((one) => one.name === name)
  if (wanted === undefined || !isEqual(withDefaults(known), withDefaults(wanted)))
    steps.push({
      does: known === undefined ? 'make' : 'change',
      thing: { kind: 'renewal', name },
      what: `${name}: ${known === undefined ? 'is kept fresh' : 'its entry in the list is changed'}`,
      call: `PUT /v2/projects/{id}/config_maps/${renewalsMap(app)}`,
      // Before it stands in the list, its events are let through.
      rights: [writer, { role: 'Writer', service: 'event-notifications', instance: notifications.guid }],
      why: known === undefined ? 'sync keeps fresh what stands in its list' : 'the file says something else than the list',
      act: { do: 'put-renewal', renewal },
      touches: ['list', 'topics'],
    })
  return steps
}

/** The entry for sync's list; undefined as long as its secret is not there. */
export function entryOf(renewal: WantedRenewal, { sources }: Pick<Observed, 'sources'>): Renewal | undefined {
  const { name, source, target, probes, boundHosts, accept, trust } = renewal
  const secret = sources.get(name)?.secret
  const known = sourceOf(source, secret)
  if (known === undefined) return undefined
  return {
    name,
    source: known,
    target,
    probes,
    ...(boundHosts.length > 0 ? { boundHosts } : {}),
    ...(accept.length > 0 ? { accept } : {}),
    ...(trust === undefined ? {} : { trust }),
  }
}

function sourceOf(source: WantedRenewal['source'], secret: { id: string; secret_group_id: string } | undefined): Source | undefined {
  if ('files' in source) return secret === undefined ? undefined : { id: secret.id }
  if ('name' in source && !('group' in source)) return secret === undefined ? undefined : { name: source.name, group: secret.secret_group_id }
  return source
}

function withDefaults(renewal: Renewal | undefined): Renewal | undefined {
  return renewal && { ...renewal, boundHosts: renewal.boundHosts ?? [], accept: renewal.accept ?? [] }
}

/** True where the files hold a later certificate than the secret that was made of them. */
export function isNewer(seen: SourceSeen | undefined): boolean {
  const { files, current } = seen ?? {}
  return files?.notBefore !== undefined && current?.notBefore !== undefined && files.fingerprint !== current.fingerprint && files.notBefore > current.notBefore
}
