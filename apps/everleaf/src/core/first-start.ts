import { readFileSync } from 'node:fs'
import { type Secret, writeDurably } from '@everleaf/world'
import type { FastifyInstance } from 'fastify'
import type { Home } from '../home.ts'

/** `login.json`: what the command line logs in with, and the instances it works on. */
type Login = {
  readonly account: string
  readonly apikey: string
  readonly secretsManager: string
  readonly eventNotifications: string
  readonly project: string
}

type Options = {
  readonly server: FastifyInstance
  readonly iam: { bootstrap(): Promise<{ account: string; ownerKey?: Secret; cliKey?: Secret }>; newCliKey(account: string): Promise<Secret> }
  readonly home: Home
  readonly region: string
  readonly say: (line: string) => void
}

const NAMES = { secretsManager: 'everleaf-secrets-manager', eventNotifications: 'everleaf-event-notifications', project: 'everleaf' } as const

/**
 * The first start makes one account with its keys, and one instance of each service through the public APIs, so that `everleaf env` is
 * whole at once. A start that finds no `login.json`, or one that is not whole, makes a new key and goes on.
 */
export async function firstStart({ server, iam, home, region, say }: Options): Promise<void> {
  const { account, ownerKey, cliKey } = await iam.bootstrap()
  if (ownerKey !== undefined) say(`The owner's API key, shown this once: ${ownerKey.reveal()}`)
  if (isWhole(home.loginFile)) return
  const key = cliKey ?? (await iam.newCliKey(account))
  const call = await loggedIn(server, key)
  const groups = await call<{ resources: { id: string; default: boolean }[] }>(
    'GET',
    `/resource-controller/v2/resource_groups?account_id=${account}&default=true`,
  )
  const group = groups.resources[0]?.id ?? ''
  const instance = async (name: string, service: string) => {
    const known = await call<{ resources: { guid: string }[] }>('GET', `/resource-controller/v2/resource_instances?name=${name}`)
    const body = { name, target: region, resource_group: group, resource_plan_id: `${service}-standard` }
    return known.resources[0]?.guid ?? (await call<{ guid: string }>('POST', '/resource-controller/v2/resource_instances', body)).guid
  }
  const projects = await call<{ projects: { id: string; name: string }[] }>('GET', '/codeengine/v2/projects?limit=100')
  const project =
    projects.projects.find(({ name }) => name === NAMES.project)?.id ??
    (await call<{ id: string }>('POST', '/codeengine/v2/projects', { name: NAMES.project, resource_group_id: group })).id
  const login: Login = {
    account,
    apikey: key.reveal(),
    secretsManager: await instance(NAMES.secretsManager, 'secrets-manager'),
    eventNotifications: await instance(NAMES.eventNotifications, 'event-notifications'),
    project,
  }
  writeDurably(home.loginFile, `${JSON.stringify(login, null, 2)}\n`, 0o600)
}

/** Whether the file holds all that commands need. It is written whole or not at all; an editor or a full disk may have cut it. */
function isWhole(loginFile: string): boolean {
  try {
    const found = JSON.parse(readFileSync(loginFile, 'utf8')) as Record<string, unknown> | null
    return (['account', 'apikey', 'secretsManager', 'eventNotifications', 'project'] satisfies (keyof Login)[]).every((name) => found?.[name])
  } catch {
    // Not there, or not JSON: it is made anew.
    return false
  }
}

/** The public APIs as the command line's service ID sees them, without a socket in between. */
async function loggedIn(server: FastifyInstance, key: Secret) {
  const form = new URLSearchParams({ grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey: key.reveal() }).toString()
  const granted = await server.inject({
    method: 'POST',
    url: '/iam/identity/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: form,
  })
  const { access_token: token } = granted.json() as { access_token: string }
  return async <T>(method: 'GET' | 'POST', url: string, body?: object): Promise<T> => {
    const reply = await server.inject({ method, url, headers: { authorization: `Bearer ${token}` }, ...(body === undefined ? {} : { payload: body }) })
    if (reply.statusCode >= 300) throw new Error(`${method} ${url} answered ${reply.statusCode} at the first start: ${reply.body.slice(0, 300)}`)
    return reply.json() as T
  }
}
