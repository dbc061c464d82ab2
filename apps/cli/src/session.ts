import { apiKeyAuthenticator, createCodeEngine, createEventNotifications, createIam, createResourceController, createSecretsManager } from '@everleaf/clients'
import { Secret, type World } from '@everleaf/world'
import type { Found } from './home.ts'

/** Logged-in clients of one platform. */
export type Session = ReturnType<typeof openSession>

export function openSession(found: Found, world: World) {
  const { ports, login } = found
  const base = `http://127.0.0.1:${ports.api}`
  const auth = apiKeyAuthenticator({ world, iamUrl: `${base}/iam`, apiKey: new Secret(login.apikey) })
  const at = (path: string) => ({ world, url: `${base}${path}`, auth })
  return {
    found,
    world,
    login,
    iam: createIam(at('/iam')),
    resourceController: createResourceController(at('/resource-controller')),
    secretsManager: createSecretsManager(at(`/secrets-manager/${login.secretsManager}`)),
    eventNotifications: createEventNotifications({ ...at('/event-notifications'), instance: login.eventNotifications, world }),
    codeEngine: createCodeEngine(at('/codeengine/v2')),
    project: login.project,
    /** For the extensions that IBM's clients do not have. */
    auth,
    base,
  }
}
