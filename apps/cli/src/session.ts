import { readFileSync } from 'node:fs'
import { apiKeyAuthenticator, createCodeEngine, createEventNotifications, createIam, createResourceController, createSecretsManager } from '@everleaf/clients'
import { createNodeHttp, Secret, type World } from '@everleaf/world'
import type { Found } from './home.ts'
import { type Instance, pick, type Place, SYNC_APP, type Where } from './renew/place.ts'
import { apiAddresses } from './status.ts'

/** Logged-in clients of one platform. */
export type Session = Awaited<ReturnType<typeof openSession>>

/** The platform's own Secrets Manager, Event Notifications and project, unless others are wanted. Throws WrongUse. */
export async function openSession(found: Found, world: World, where: Where = {}) {
  const { ports, login } = found
  const base = `http://127.0.0.1:${ports.api}`
  const auth = apiKeyAuthenticator({ world, iamUrl: `${base}/iam`, apiKey: new Secret(login.apikey) })
  const at = (path: string) => ({ world, url: `${base}${path}`, auth })
  const resourceController = createResourceController(at('/resource-controller'))
  const instances: readonly Instance[] = await resourceController.listInstances()
  const { region } = where
  const manager = pick(instances, 'secretsManager', { wanted: where.secretsManager ?? login.secretsManager, region })
  const notifications = pick(instances, 'eventNotifications', { wanted: where.eventNotifications ?? login.eventNotifications, region })
  const project = pick(instances, 'project', { wanted: where.project ?? login.project, region })
  const place: Place = {
    kind: 'everleaf',
    world,
    iam: createIam(at('/iam')),
    secretsManager: createSecretsManager(at(`/secrets-manager/${manager.guid}`)),
    eventNotifications: createEventNotifications({ ...at('/event-notifications'), instance: notifications.guid, world }),
    codeEngine: createCodeEngine(at('/codeengine/v2')),
    account: login.account,
    manager,
    notifications,
    project: project.guid,
    projectCrn: project.crn,
    app: where.app ?? SYNC_APP,
    sync: { ...(await apiAddresses(found, manager.guid)), visibility: where.visibility === 'public' ? 'local_public' : 'local_private' },
    probe: { port: ports.public, connect: `127.0.0.1:${ports.public}` },
    // The platform's own names are in no DNS.
    reach: createNodeHttp({ resolve: (_host, port) => ({ address: '127.0.0.1', port }), ca: [readFileSync(found.caFile, 'utf8')] }),
  }
  /** `auth` and `base`: for the extensions that IBM's clients do not have. */
  return { ...place, found, login, resourceController, auth, base }
}
