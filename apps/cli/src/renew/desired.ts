import type { Accept, Source } from '@everleaf/renewals'
import { digestOf } from '../deploy.ts'
import type { Renewal } from '../renewals.ts'
import { archiveOf } from '../source-archive.ts'
import type { Place } from './place.ts'
import { profileName } from './things.ts'

export type Material = { readonly certificate: string; readonly intermediate?: string; readonly private_key: string }

/** Where a certificate comes from: a secret that is there, or files of which one is made. A group may be left out beside a name. */
export type WantedSource = Source | { readonly name: string } | { readonly files: Material; readonly secret: string }

export type WantedRenewal = {
  readonly name: string
  /** Where it was asked for, for messages: `everleaf.yaml:7`. */
  readonly at: string
  readonly source: WantedSource
  readonly target: string
  /** Hosts that are to be mapped to an app. */
  readonly bindings: readonly { readonly host: string; readonly app: string; readonly at: string }[]
  readonly probes: Renewal['probes']
  readonly boundHosts: readonly string[]
  readonly accept: readonly Accept[]
  readonly trust?: string
}

/** The sync app as it should run. */
export type Deployment = {
  readonly digest: string
  readonly settings: Readonly<Record<string, unknown>>
  /** Built from this source, or run from an image that is there already. */
  readonly from: { readonly archive: Uint8Array } | { readonly image: string }
}

export type Desired = { readonly deployment: Deployment; readonly renewals: readonly WantedRenewal[] }

export function headerSecret(app: string): string {
  return `${app}-header`
}

export type SyncSettings = { readonly image?: string; readonly imageSecret?: string; readonly proofLimitSeconds?: number }

/** How sync is deployed at this place: from its folder, or from an image. */
export async function deploymentOf(
  place: Place,
  folder: string | (() => Promise<string>),
  { image, imageSecret, proofLimitSeconds }: SyncSettings = {},
): Promise<Deployment> {
  const from: Deployment['from'] = image === undefined ? { archive: await archiveOf(typeof folder === 'string' ? folder : await folder()) } : { image }
  const { app, sync } = place
  const literal = (name: string, value: string) => ({ type: 'literal', name, value })
  const settings = {
    managed_domain_mappings: sync.visibility,
    run_compute_resource_token_enabled: true,
    scale_min_instances: 0,
    scale_max_instances: 1,
    scale_cpu_limit: '0.25',
    scale_memory_limit: '0.5G',
    run_env_variables: [
      literal('IAM_PROFILE_NAME', profileName(app)),
      literal('IAM_URL', sync.iamUrl),
      literal('SECRETS_MANAGER_URL', sync.secretsManagerUrl),
      ...(proofLimitSeconds === undefined ? [] : [literal('SYNC_PROOF_LIMIT_MS', String(proofLimitSeconds * 1_000))]),
      { type: 'secret_key_reference', name: 'SYNC_HEADER_VALUE', reference: headerSecret(app), key: 'value' },
    ],
    ...(imageSecret === undefined ? {} : { image_secret: imageSecret }),
  }
  return { from, settings, digest: digestOf({ from, settings }) }
}
