import type { EnRule } from '@everleaf/clients'
import { deployApp, ensure, orMissing } from './ensure.ts'
import type { Session } from './session.ts'
import type { Terminal } from './terminal.ts'

export const SYNC_APP = 'sync'
export const PROFILE = 'everleaf-sync'
/** What the timer's topic, destination and subscription are named. */
const SWEEP = `${SYNC_APP}-sweep`
/** Once an hour sync looks for what events missed; the fields are those of IBM's periodic timer. */
const SWEEP_SCHEDULE = { expression: '0 * * * ?' }
const HEADER_NAME = 'Auth-SM-TLS-Sync'
const HEADER_SECRET = 'sync-header'
const EVENT_TYPE_FILTER = "$.type == 'com.ibm.cloud.secrets-manager.secret_rotated'"

/** From where the sync app reaches the APIs: names and ports that resolve inside instances. */
export type ApiAddresses = { readonly iam: string; readonly secretsManager: string }

type Options = { readonly session: Session; readonly terminal: Terminal; readonly archive: Uint8Array; readonly addresses: ApiAddresses }

/** Everything between a rotated secret and the sync app, made through the public APIs; what is there already stays. */
export async function ensurePipeline({ session, terminal, archive, addresses }: Options): Promise<void> {
  const crns = await instanceCrns(session)
  const events = terminal.step('Secrets Manager may send events, and is registered')
  await ensureAuthorization(session)
  await ensureRegistration(session, crns.eventNotifications)
  events.done()
  const identity = terminal.step(`trusted profile ${PROFILE}: read this secret group, write this project, for the sync app only`)
  await ensureProfile(session, crns.project)
  identity.done()
  const app = terminal.step('sync: built from source, private, at most one instance, scaled to zero when idle')
  const header = await ensureHeader(session)
  await deployApp(session, { name: SYNC_APP, archive, settings: syncSettings(addresses) })
  app.done()
  const route = terminal.step('Event Notifications: topic with filters, destination, subscription; and a timer that lets sync look for what events missed')
  const { endpoint = '' } = await session.codeEngine.getApp(session.project, SYNC_APP)
  await ensureRoute(session, { name: SYNC_APP, description: 'Rotated certificates', source: { id: crns.secretsManager, rules: [] }, url: endpoint, header })
  const timer = { id: await ensureTimer(session), rules: [{ event_schedule_filter: SWEEP_SCHEDULE }] }
  await ensureRoute(session, { name: SWEEP, description: 'Time to look for what events missed', source: timer, url: `${endpoint}/sweep`, header })
  route.done()
}

async function instanceCrns(session: Session): Promise<{ secretsManager: string; eventNotifications: string; project: string }> {
  const { resourceController, login } = session
  const [secretsManager, eventNotifications, project] = await Promise.all(
    [login.secretsManager, login.eventNotifications, login.project].map((guid) => resourceController.getInstance(guid)),
  )
  return { secretsManager: secretsManager?.crn ?? '', eventNotifications: eventNotifications?.crn ?? '', project: project?.crn ?? '' }
}

async function ensureAuthorization({ iam, login }: Session): Promise<void> {
  const named = { account_id: login.account, type: 'authorization' }
  const isOurs = (attributes: readonly { name: string; value: string }[] | undefined, guid: string) =>
    attributes?.some(({ name, value }) => name === 'serviceInstance' && value === guid) ?? false
  const known = await iam.listPoliciesV1(named)
  if (
    known.some(
      ({ subjects, resources }) => isOurs(subjects?.[0]?.attributes, login.secretsManager) && isOurs(resources?.[0]?.attributes, login.eventNotifications),
    )
  )
    return
  const { service_roles: roles } = await iam.listRoles({
    service_name: 'event-notifications',
    source_service_name: 'secrets-manager',
    policy_type: 'authorization',
  })
  const role = roles.find(({ display_name: name }) => name === 'Event Source Manager')
  if (role === undefined) throw new Error('IAM knows no role named Event Source Manager')
  const attributes = (service: string, guid: string) => [
    { name: 'accountId', value: login.account },
    { name: 'serviceName', value: service },
    { name: 'serviceInstance', value: guid },
  ]
  await iam.createPolicyV1({
    type: 'authorization',
    subjects: [{ attributes: attributes('secrets-manager', login.secretsManager) }],
    resources: [{ attributes: attributes('event-notifications', login.eventNotifications) }],
    roles: [{ role_id: role.crn }],
  })
}

async function ensureRegistration({ secretsManager }: Session, eventNotificationsCrn: string): Promise<void> {
  const known = await orMissing(secretsManager.getRegistration())
  if (known?.event_notifications_instance_crn === eventNotificationsCrn) return
  await secretsManager.register({ event_notifications_instance_crn: eventNotificationsCrn, event_notifications_source_name: 'secrets-manager' })
}

/** The smallest rights that do: secrets of the default group, entities of this one project (api/iam §6). */
async function ensureProfile({ iam, login, project }: Session, projectCrn: string): Promise<void> {
  const profile = await ensure(
    async () => (await iam.listProfiles({ account_id: login.account, name: PROFILE }))[0],
    () => iam.createProfile({ account_id: login.account, name: PROFILE, description: 'What the sync app may do' }),
  )
  const links = await iam.listLinks(profile.id)
  if (!links.some(({ link }) => link.crn === projectCrn && link.component_name === SYNC_APP))
    await iam.createLink(profile.id, { name: SYNC_APP, cr_type: 'CE', link: { crn: projectCrn, component_type: 'application', component_name: SYNC_APP } })
  const policies = await iam.listPolicies({ account_id: login.account, iam_id: profile.iam_id })
  const wanted = [
    {
      service: 'secrets-manager',
      guid: login.secretsManager,
      role: 'crn:v1:bluemix:public:secrets-manager::::serviceRole:SecretsReader',
      more: { resourceType: 'secret-group', resource: 'default' },
    },
    { service: 'codeengine', guid: project, role: 'crn:v1:bluemix:public:iam::::serviceRole:Writer', more: {} },
  ]
  for (const { service, guid, role, more } of wanted) {
    if (policies.some(({ resource }) => resource?.attributes.some(({ key, value }) => key === 'serviceInstance' && value === guid))) continue
    const attributes = Object.entries({ accountId: login.account, serviceName: service, serviceInstance: guid, ...more }).map(([key, value]) => ({
      key,
      operator: 'stringEquals',
      value,
    }))
    await iam.createPolicy({
      type: 'access',
      subject: { attributes: [{ key: 'iam_id', operator: 'stringEquals', value: profile.iam_id }] },
      resource: { attributes },
      control: { grant: { roles: [{ role_id: role }] } },
    })
  }
}

async function ensureHeader({ codeEngine, project, world }: Session): Promise<string> {
  const known = await orMissing(codeEngine.getSecret(project, HEADER_SECRET))
  const there = known?.data?.value
  if (there !== undefined) return there
  const value = world.randomBytes(32).toString('base64url')
  await codeEngine.createSecret(project, { name: HEADER_SECRET, format: 'generic', data: { value } })
  return value
}

function syncSettings(addresses: ApiAddresses): Readonly<Record<string, unknown>> {
  return {
    managed_domain_mappings: 'local_private',
    run_compute_resource_token_enabled: true,
    scale_min_instances: 0,
    scale_max_instances: 1,
    scale_cpu_limit: '0.25',
    scale_memory_limit: '0.5G',
    run_env_variables: [
      { type: 'literal', name: 'IAM_PROFILE_NAME', value: PROFILE },
      { type: 'literal', name: 'IAM_URL', value: addresses.iam },
      { type: 'literal', name: 'SECRETS_MANAGER_URL', value: addresses.secretsManager },
      { type: 'secret_key_reference', name: 'SYNC_HEADER_VALUE', reference: HEADER_SECRET, key: 'value' },
    ],
  }
}

type Route = {
  readonly name: string
  readonly description: string
  readonly source: { id: string; rules: readonly EnRule[] }
  readonly url: string
  readonly header: string
}

/** A topic that one source stands in, a destination that calls `url` with the header, and the subscription that joins them, all of one name. */
async function ensureRoute({ eventNotifications }: Session, { name, description, source, url, header }: Route): Promise<void> {
  const named = <T extends { readonly name: string }>(list: readonly T[]) => list.find((one) => one.name === name)
  const topic = await ensure(
    async () => named(await eventNotifications.listTopics()),
    () => eventNotifications.createTopic({ name, description, sources: [source] }),
  )
  const params = { type: 'application', url, verb: 'post', custom_headers: { [HEADER_NAME]: header }, sensitive_headers: [HEADER_NAME] }
  const known = named(await eventNotifications.listDestinations())
  const destination =
    known === undefined
      ? await eventNotifications.createDestination({ name, type: 'ibmce', description: 'The sync app', config: { params } })
      : await eventNotifications.updateDestination(known.id, { config: { params } })
  await ensure(
    async () => named(await eventNotifications.listSubscriptions()),
    () => eventNotifications.createSubscription({ name, destination_id: destination.id, topic_id: topic.id, description: '' }),
  )
}

/** The id of the instance's periodic timer, enabled. */
async function ensureTimer({ eventNotifications }: Session): Promise<string> {
  const timer = (await eventNotifications.listSources()).find(({ type }) => type === 'periodic-timer')
  if (timer === undefined) throw new Error('Event Notifications has no periodic timer')
  if (!timer.enabled) await eventNotifications.updateSource(timer.id, { enabled: true })
  return timer.id
}

/** The rule that lets one secret's rotations through: the event type, and the secret wherever it stands in a batch. */
export function ruleFor(secretName: string): EnRule {
  return { enabled: true, event_type_filter: EVENT_TYPE_FILTER, notification_filter: `$.data.secrets[?(@.secret_name == '${secretName}')]` }
}

const MAX_RULES = 100
const MAX_FILTER = 255

/**
 * Makes the topic's rules those of the given secrets. Where they are too many for a topic, or a name too long for a filter, all rotations
 * are let through: sync leaves those alone that no renewal names.
 */
export async function setRules(session: Session, secretNames: readonly string[]): Promise<void> {
  const { eventNotifications } = session
  const { secretsManager } = await instanceCrns(session)
  const topic = (await eventNotifications.listTopics()).find(({ name }) => name === SYNC_APP)
  if (topic === undefined) throw new Error(`there is no topic named ${SYNC_APP}`)
  const rules = [...new Set(secretNames)].map(ruleFor)
  const fits = rules.length <= MAX_RULES && rules.every(({ notification_filter: filter = '' }) => filter.length <= MAX_FILTER)
  await eventNotifications.replaceTopic(topic.id, {
    name: SYNC_APP,
    description: 'Rotated certificates',
    sources: [{ id: secretsManager, rules: fits ? rules : [{ enabled: true, event_type_filter: EVENT_TYPE_FILTER }] }],
  })
}
