import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Accept, Source } from '@everleaf/renewals'
import { digestOf, type From } from '../deploy.ts'
import { WrongUse } from '../home.ts'
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
  readonly from: From
}

export type Desired = { readonly deployment: Deployment; readonly renewals: readonly WantedRenewal[] }

export function headerSecret(app: string): string {
  return `${app}-header`
}

/** Name of the config map that holds sync's code where Code Engine takes no source by its API. */
export function codeMap(app: string): string {
  return `${app}-code`
}
/** Its only key. */
export const CODE_FILE = 'sync.js'
const CODE_FOLDER = '/opt/everleaf'
/** Pulled without credentials or a limit per address, and kept up by Red Hat; sync asks for no more than Node 20. */
const NODE_IMAGE = 'registry.access.redhat.com/ubi9/nodejs-24-minimal:latest'

export type SyncSettings = { readonly image?: string; readonly nodeImage?: string; readonly imageSecret?: string; readonly proofLimitSeconds?: number }

/**
 * How sync is deployed at this place: from an image of it, where one is named; as code in a config map that an image with Node runs, where one
 * is named or on IBM Cloud; else built from its folder. Throws WrongUse.
 */
export async function deploymentOf(
  place: Place,
  folder: string | (() => Promise<string>),
  { image, nodeImage, imageSecret, proofLimitSeconds }: SyncSettings = {},
): Promise<Deployment> {
  if (image !== undefined && nodeImage !== undefined)
    throw new WrongUse('sync names image and nodeImage: image is one of sync itself, nodeImage one of Node alone that runs its code. Leave one out.')
  const { app, sync, kind } = place
  const source = async () => (typeof folder === 'string' ? folder : await folder())
  const runs = nodeImage ?? (kind === 'ibm' ? NODE_IMAGE : undefined)
  const from: From =
    image !== undefined ? { image } : runs === undefined ? { archive: await archiveOf(await source()) } : { code: codeIn(await source()), image: runs }
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
    ...('code' in from
      ? {
          run_volume_mounts: [{ type: 'config_map', name: 'code', reference: codeMap(app), mount_path: CODE_FOLDER }],
          run_commands: ['node'],
          run_arguments: [`${CODE_FOLDER}/${CODE_FILE}`],
        }
      : {}),
    ...(imageSecret === undefined ? {} : { image_secret: imageSecret }),
  }
  return { from, settings, digest: digestOf({ from, settings }) }
}

/** Sync as one file, which goes into a config map. */
function codeIn(folder: string): string {
  // What is put together without a bundler is many files.
  if (existsSync(join(folder, 'sync')))
    throw new WrongUse('Sync as one file needs the development packages: type `npm ci` without --omit=dev, or name an image of sync (sync: { image: … }).')
  return readFileSync(join(folder, CODE_FILE), 'utf8')
}
