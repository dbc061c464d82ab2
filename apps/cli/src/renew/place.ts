import {
  apiKeyAuthenticator,
  type CodeEngine,
  createCodeEngine,
  createEventNotifications,
  createIam,
  createResourceController,
  createSecretsManager,
  type EventNotifications,
  type Iam,
  type ResourceInstance,
  type SecretsManager,
} from '@everleaf/clients'
import { createNodeHttp, type Http, Secret, type World } from '@everleaf/world'
import { NotHere, WrongUse } from '../home.ts'
import { accountIn, readClaims } from '../token-claims.ts'

/** A service instance, as far as a pipeline needs it. */
export type Instance = Pick<ResourceInstance, 'guid' | 'crn' | 'name' | 'region_id'>

/** Where a pipeline lives: logged-in clients of one account, Secrets Manager, Event Notifications and Code Engine project. */
export type Place = {
  readonly kind: 'everleaf' | 'ibm'
  readonly world: World
  readonly iam: Iam
  readonly secretsManager: SecretsManager
  readonly eventNotifications: EventNotifications
  readonly codeEngine: CodeEngine
  readonly account: string
  readonly manager: Instance
  readonly notifications: Instance
  /** Id of the Code Engine project. */
  readonly project: string
  readonly projectCrn: string
  /** Name of the sync app; everything of the pipeline is named after it. */
  readonly app: string
  /** What sync is told: where it finds the APIs, and who may reach it. */
  readonly sync: { readonly iamUrl: string; readonly secretsManagerUrl: string; readonly visibility: 'local_public' | 'local_private' }
  /** Where a host is looked for when nothing else is said. */
  readonly probe: { readonly port: number; readonly connect?: string }
  /** HTTP to apps of the project. */
  readonly reach: Http
}

/** What somebody said about where the pipeline lives; names or ids. */
export type Where = {
  readonly region?: string
  readonly project?: string
  readonly secretsManager?: string
  readonly eventNotifications?: string
  readonly app?: string
  readonly visibility?: 'public' | 'private'
}

export const SYNC_APP = 'sync'

const SERVICES = { secretsManager: 'secrets-manager', eventNotifications: 'event-notifications', project: 'codeengine' } as const
const CALLED = { secretsManager: 'Secrets Manager instance', eventNotifications: 'Event Notifications instance', project: 'Code Engine project' } as const

type Part = keyof typeof SERVICES

/** The instance that a name or an id means. Throws WrongUse where it means none, or several. */
export function pick(instances: readonly Instance[], part: Part, { wanted, region }: { wanted: string; region?: string | undefined }): Instance {
  const ofService = instances.filter(({ crn }) => crn.split(':')[4] === SERVICES[part])
  const found = ofService.filter(({ guid, crn, name }) => wanted === guid || wanted === crn || wanted === name)
  const near = region === undefined ? found : found.filter(({ region_id }) => region_id === region)
  const [one, ...more] = near
  if (one !== undefined && more.length === 0) return one
  const known = ofService.map(({ name, guid, region_id }) => `  ${name} (${guid}, ${region_id})`).join('\n')
  throw new WrongUse(
    near.length > 1
      ? `${near.length} instances are the ${CALLED[part]} ${wanted}: give the id instead.\n${known}`
      : `There is no ${CALLED[part]} ${wanted}${region === undefined ? '' : ` in ${region}`} that this login may see.${known === '' ? '' : `\nThere are:\n${known}`}`,
  )
}

/**
 * A place on IBM Cloud, through its public endpoints; sync itself uses the private ones. The API key comes from IBMCLOUD_API_KEY alone:
 * what stands on a command line can be read by everyone on the machine. Throws WrongUse, ApiFailure.
 */
export async function openIbmPlace(where: Where, env: NodeJS.ProcessEnv, plain: World): Promise<Place> {
  const apiKey = env.IBMCLOUD_API_KEY ?? ''
  if (apiKey === '')
    throw new NotHere(
      `IBMCLOUD_API_KEY is not set: give the API key of an identity of your IBM Cloud account there, and nowhere else.\nMake one with: ibmcloud iam api-key-create NAME`,
    )
  const { region, project, secretsManager, eventNotifications } = where
  if (region === undefined || project === undefined || secretsManager === undefined || eventNotifications === undefined)
    throw new WrongUse('On IBM Cloud the file says region, project, secretsManager and eventNotifications: names or ids of what is there already.')
  // Names below .localhost are this machine's, whatever its resolver says of them (RFC 6761, 6.3).
  const http = createNodeHttp({ resolve: (host, port) => (host.endsWith('.localhost') ? { address: '127.0.0.1', port } : undefined) })
  const world: World = { ...plain, http }
  const auth = apiKeyAuthenticator({ world, iamUrl: 'https://iam.cloud.ibm.com', apiKey: new Secret(apiKey) })
  const at = (url: string) => ({ world, url, auth })
  const account = accountIn(readClaims(await auth.token()) ?? {})
  if (account === undefined) throw new WrongUse('The API key belongs to no account. Give one of an account in IBMCLOUD_API_KEY.')
  const instances = await createResourceController(at('https://resource-controller.cloud.ibm.com')).listInstances()
  const manager = pick(instances, 'secretsManager', { wanted: secretsManager, region })
  const notifications = pick(instances, 'eventNotifications', { wanted: eventNotifications, region })
  const ceProject = pick(instances, 'project', { wanted: project, region })
  return {
    kind: 'ibm',
    world,
    iam: createIam(at('https://iam.cloud.ibm.com')),
    secretsManager: createSecretsManager(at(`https://${manager.guid}.${manager.region_id}.secrets-manager.appdomain.cloud`)),
    eventNotifications: createEventNotifications({
      ...at(`https://${notifications.region_id}.event-notifications.cloud.ibm.com/event-notifications`),
      instance: notifications.guid,
      world,
    }),
    codeEngine: createCodeEngine(at(`https://api.${ceProject.region_id}.codeengine.cloud.ibm.com/v2`)),
    account,
    manager,
    notifications,
    project: ceProject.guid,
    projectCrn: ceProject.crn,
    app: where.app ?? SYNC_APP,
    sync: {
      iamUrl: 'https://private.iam.cloud.ibm.com',
      secretsManagerUrl: `https://${manager.guid}.private.${manager.region_id}.secrets-manager.appdomain.cloud`,
      // Event Notifications delivers from outside of the project's network.
      visibility: where.visibility === 'private' ? 'local_private' : 'local_public',
    },
    probe: { port: 443 },
    reach: http,
  }
}
