import type { SmSecret } from '@everleaf/clients'
import { deployApp, ensureBuild } from '../deploy.ts'
import { until } from '../ensure.ts'
import { changeRenewals, listData, namesOf, readRenewals, renewalsMap, rulesFor, setRules } from '../renewals.ts'
import { CODE_FILE, codeMap, type Desired, headerSecret, type WantedRenewal } from './desired.ts'
import type { Observed } from './observe.ts'
import type { Place } from './place.ts'
import { entryOf } from './renewal-steps.ts'
import { ROLE_IDS } from './roles.ts'
import { type Act, destinationText } from './steps.ts'
import { findOwnSecret, findProfile, findTimer, headerMark, profileName } from './things.ts'

/** The header that sync asks for. */
export const HEADER_NAME = 'Auth-SM-TLS-Sync'
/** Once an hour; the fields are those of IBM's periodic timer. */
const HOURLY = { event_schedule_filter: { expression: '0 * * * ?' } }
const SOURCE_NAME = 'secrets-manager'
/** What one service has made, another may see a moment later. */
const SEEN_MS = 30_000

type Stage = { readonly place: Place; readonly desired: Desired; readonly observed: Observed }

/** Does what one step says, on what is there now. Throws ApiFailure; 409 where somebody else made it meanwhile. */
export async function perform(act: Act, stage: Stage): Promise<void> {
  const { place, desired } = stage
  const { codeEngine, project, app, secretsManager, eventNotifications, iam, account } = place
  switch (act.do) {
    case 'authorize':
      return await authorize(place)
    case 'register':
      return void (await secretsManager.register({
        event_notifications_instance_crn: place.notifications.crn,
        event_notifications_source_name: SOURCE_NAME,
      }))
    case 'make-profile':
      return void (await iam.createProfile({ account_id: account, name: profileName(app), description: 'What the sync app may do' }))
    case 'link': {
      const { id } = await profileOf(place)
      const link = { crn: place.projectCrn, component_type: 'application', component_name: app }
      return void (await iam.createLink(id, { name: app, cr_type: 'CE', link }))
    }
    case 'make-policy':
      return await makePolicy(place, act.group)
    case 'make-header': {
      const value = place.world.randomBytes(32).toString('base64url')
      return void (await codeEngine.createSecret(project, { name: headerSecret(app), format: 'generic', data: { value } }))
    }
    case 'make-list':
      return void (await codeEngine.createConfigMap(project, { name: renewalsMap(app), data: listData([]) }))
    case 'make-code':
    case 'change-code':
      return await putCode(stage, act.do)
    case 'make-build':
      return await ensureBuild(place, app)
    case 'deploy':
      return await deployApp(place, { name: app, ...desired.deployment })
    case 'start-timer':
      return void (await eventNotifications.updateSource((await timerOf(place)).id, { enabled: true }))
    case 'make-topic':
      return await makeTopic(place, act)
    case 'set-rules': {
      const renewals = await readRenewals(place)
      return await setRules(place, rulesFor(renewals, await namesOf(place, renewals)))
    }
    case 'make-destination':
    case 'change-destination':
      return await putDestination(place, act)
    case 'make-subscription':
      return await subscribe(place, act.name)
    case 'make-secret':
      return void (await secretsManager.createSecret({ secret_type: 'imported_cert', ...materialOf(act.renewal) }))
    case 'make-version':
      return await makeVersion(place, act.renewal)
    case 'make-target':
      return await makeTarget(stage, act.renewal)
    case 'make-mapping':
      return void (await codeEngine.createDomainMapping(project, {
        name: act.host,
        component: { name: act.app, resource_type: 'app_v2' },
        tls_secret: act.target,
      }))
    case 'put-renewal':
      return await putRenewal(stage, act.renewal)
  }
}

async function authorize({ iam, account, manager, notifications }: Place): Promise<void> {
  const services = { service_name: 'event-notifications', source_service_name: 'secrets-manager', policy_type: 'authorization' }
  const { service_roles: roles } = await iam.listRoles(services)
  const role = roles.find(({ display_name: name }) => name === 'Event Source Manager')
  if (role === undefined) throw new Error('IAM knows no role named Event Source Manager')
  const attributes = (service: string, guid: string) => [
    { name: 'accountId', value: account },
    { name: 'serviceName', value: service },
    { name: 'serviceInstance', value: guid },
  ]
  await iam.createPolicyV1({
    type: 'authorization',
    subjects: [{ attributes: attributes('secrets-manager', manager.guid) }],
    resources: [{ attributes: attributes('event-notifications', notifications.guid) }],
    roles: [{ role_id: role.crn }],
  })
}

/** The smallest rights that do: the secrets of one group, or the entities of this one project (api/iam §6). */
async function makePolicy(place: Place, group: string | undefined): Promise<void> {
  const { iam, account, manager, project } = place
  const profile = await profileOf(place)
  const of =
    group === undefined
      ? { serviceName: 'codeengine', serviceInstance: project }
      : { serviceName: 'secrets-manager', serviceInstance: manager.guid, resourceType: 'secret-group', resource: group }
  const attributes = Object.entries({ accountId: account, ...of }).map(([key, value]) => ({ key, operator: 'stringEquals', value }))
  await iam.createPolicy({
    type: 'access',
    subject: { attributes: [{ key: 'iam_id', operator: 'stringEquals', value: profile.iam_id }] },
    resource: { attributes },
    control: { grant: { roles: [{ role_id: group === undefined ? ROLE_IDS.Writer : ROLE_IDS.SecretsReader }] } },
  })
}

async function putCode({ place, desired }: Stage, how: 'make-code' | 'change-code'): Promise<void> {
  const { codeEngine, project, app } = place
  const { from } = desired.deployment
  if (!('code' in from)) throw new Error('only code is put into a config map')
  const name = codeMap(app)
  const data = { [CODE_FILE]: from.code }
  if (how === 'make-code') await codeEngine.createConfigMap(project, { name, data })
  else await codeEngine.replaceConfigMap(project, name, { json: { data }, ifMatch: '*' })
}

async function makeTopic({ eventNotifications, manager, ...place }: Place, act: Extract<Act, { do: 'make-topic' }>): Promise<void> {
  const source =
    act.rules === 'hourly' ? { id: (await timerOf({ ...place, manager, eventNotifications })).id, rules: [HOURLY] } : { id: manager.crn, rules: act.rules }
  await eventNotifications.createTopic({ name: act.name, description: act.text, sources: [source] })
}

async function putDestination(place: Place, { name, path }: { name: string; path: string }): Promise<void> {
  const { eventNotifications, codeEngine, project, app } = place
  const { endpoint = '' } = await codeEngine.getApp(project, app)
  const value = await headerValue(place)
  const params = {
    type: 'application',
    url: `${endpoint}${path}`,
    verb: 'post',
    custom_headers: { [HEADER_NAME]: value },
    sensitive_headers: [HEADER_NAME],
  }
  const known = (await eventNotifications.listDestinations()).find((one) => one.name === name)
  const body = { description: destinationText(headerMark(value)), config: { params } }
  if (known === undefined) await eventNotifications.createDestination({ name, type: 'ibmce', ...body })
  else await eventNotifications.updateDestination(known.id, body)
}

/** What the header must hold. Throws when there is no such secret. */
export async function headerValue({ codeEngine, project, app }: Place): Promise<string> {
  const { data } = await codeEngine.getSecret(project, headerSecret(app))
  if (data?.value === undefined) throw new Error(`the Code Engine secret ${headerSecret(app)} has no key named value. Delete it, and apply again.`)
  return data.value
}

async function subscribe(place: Place, name: string): Promise<void> {
  const { eventNotifications } = place
  const find = async <T extends { readonly name: string }>(list: () => Promise<readonly T[]>, what: string) =>
    await seen(place, what, async () => (await list()).find((one) => one.name === name))
  const [topic, destination] = await Promise.all([
    find(eventNotifications.listTopics, `the topic ${name}`),
    find(eventNotifications.listDestinations, `the destination ${name}`),
  ])
  await eventNotifications.createSubscription({ name, destination_id: destination.id, topic_id: topic.id, description: '' })
}

function materialOf({ source }: WantedRenewal) {
  if (!('files' in source)) throw new Error('only files are put into a secret')
  return { name: source.secret, ...source.files }
}

async function makeVersion(place: Place, renewal: WantedRenewal): Promise<void> {
  const { name, ...material } = materialOf(renewal)
  const secret = await seen(place, `the secret ${name}`, () => findOwnSecret(place, name))
  await place.secretsManager.createVersion(secret.id, material)
}

async function makeTarget({ place, observed }: Stage, renewal: WantedRenewal): Promise<void> {
  const { secret: known, current } = observed.sources.get(renewal.name) ?? {}
  const id = known?.id
  if (id === undefined) throw new Error(`the secret of ${renewal.name} is not there`)
  const secret = await place.secretsManager.getSecret(id)
  // In the form in which sync would put it there, so that it has nothing to replace.
  const data = { tls_cert: current?.chain ?? chainOf(secret), tls_key: secret.private_key ?? '' }
  await place.codeEngine.createSecret(place.project, { name: renewal.target, format: 'tls', data })
}

function chainOf({ certificate, intermediate, issuing_ca, ca_chain = [] }: SmSecret): string {
  return [certificate, intermediate, issuing_ca, ...ca_chain].filter((part) => part !== undefined && part !== '').join('\n')
}

async function putRenewal({ place, observed }: Stage, renewal: WantedRenewal): Promise<void> {
  const entry = entryOf(renewal, observed)
  if (entry === undefined) throw new Error(`the secret of ${renewal.name} is not there`)
  await changeRenewals(place, (list) =>
    list.some(({ name }) => name === entry.name) ? list.map((one) => (one.name === entry.name ? entry : one)) : [...list, entry],
  )
}

async function profileOf(place: Place) {
  const name = profileName(place.app)
  return await seen(place, `the trusted profile ${name}`, () => findProfile(place, name))
}

async function timerOf(place: Place) {
  return await seen(place, 'the periodic timer of Event Notifications', () => findTimer(place))
}

/** Asks until it is there. */
async function seen<T>(place: Place, what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const found = await until(place, { what, limitMs: SEEN_MS, ask, isDone: (answer) => answer !== undefined })
  if (found === undefined) throw new Error(`${what} is not there`)
  return found
}
