import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Route } from '@everleaf/http'
import { chainMaker } from '../support/certificates.ts'
import { eventually, freshHome, login, type Running, startPlatform } from '../support/platform.ts'
import { withHome } from './home-at-rest.ts'
import { accountOf, call, makeBucket, type Names, OBJECT, type Place, placesOf, secretsManagerCrn, urlOf } from './places.ts'

const home = freshHome()
let platform: Running
let mine: Owner
let theirs: Owner
before(async () => {
  await (await startPlatform(home)).stop()
  const key = await withHome(home.home, {}, async ({ iam }) => (await iam.createAccount({ name: 'theirs', email: 'them@example.com' })).ownerKey.reveal())
  platform = await startPlatform(home)
  mine = await furnish('mine', await platform.token())
  theirs = await furnish('theirs', await login(platform.env, key))
})
after(async () => {
  await platform.stop()
  home[Symbol.dispose]()
})

type Json = Readonly<Record<string, unknown>>
type Owner = {
  readonly token: string
  readonly account: string
  readonly names: Names
  readonly places: readonly Place[]
  /** What each parameter of a route stands for, by the segment before it. */
  readonly objects: Readonly<Record<string, string>>
  /** Texts that stand in the objects, and names of them: nobody else may ever see either. */
  readonly contents: readonly string[]
  readonly marks: readonly string[]
}

/** One of everything in an account, all of it named by `who`. */
async function furnish(who: string, token: string): Promise<Owner> {
  const { env } = platform
  const account = accountOf(token)
  const make = async (url: string, body: Json, method = 'POST') => {
    const { status, text } = await call(method, url, { token, body })
    assert.ok(status < 300, `${method} ${url}: ${status} ${text}`)
    return (text === '' ? {} : JSON.parse(text)) as Record<string, string>
  }
  const id = (what: Record<string, string>, name = 'id') => what[name] ?? ''
  const group = await make(`${env.RESOURCE_MANAGER_URL}/v2/resource_groups`, { name: `${who}-group`, account_id: account })
  const instance = async (service: string, name = who) =>
    await make(`${env.RESOURCE_CONTROLLER_URL}/v2/resource_instances`, {
      ...{ name, target: 'us-south', resource_group: id(group), resource_plan_id: `${service}-standard` },
    })
  const [secretsManager, eventNotifications] = [await instance('secrets-manager'), await instance('event-notifications')]
  const project = await make(`${env.CODE_ENGINE_URL}/projects`, { name: who })
  await eventually(`the project of ${who}`, async () =>
    (await call('GET', `${env.CODE_ENGINE_URL}/projects/${id(project)}`, { token })).text.includes('"active"'),
  )
  const guid = id(secretsManager, 'guid')
  const names = {
    ...{ project: id(project), secretsManager: guid, secretsManagerCrn: secretsManagerCrn(guid, account) },
    ...{ eventNotifications: id(eventNotifications, 'guid'), ...(await makeBucket(platform, { token, group: id(group), name: who })) },
  }
  const places = placesOf(platform, names)
  const at = (name: string) => places.find((place) => place.name === name)?.url ?? ''
  const [sm, en, ce, iam] = [`${at('secrets-manager')}/api/v2`, at('event-notifications'), `${at('code-engine')}/projects/${names.project}`, at('iam identity')]

  const { leaf } = await chainMaker()
  const pair = await leaf([`${who}.example.com`])
  const secretGroup = await make(`${sm}/secret_groups`, { name: `${who}-secrets` })
  const secret = await make(`${sm}/secrets`, {
    ...{ secret_type: 'arbitrary', name: `${who}-secret`, secret_group_id: id(secretGroup), payload: `payload-of-${who}` },
  })
  const version = await make(`${sm}/secrets/${id(secret)}/versions`, { payload: `payload-of-${who}-2` })
  const source = await make(`${en}/sources`, { name: `${who}-source`, description: who, enabled: true })
  const topic = await make(`${en}/topics`, {
    ...{ name: `${who}-topic`, sources: [{ id: id(source), rules: [{ enabled: true, event_type_filter: '$.*', notification_filter: '' }] }] },
  })
  const params = { type: 'application', url: `https://${who}.example.com/`, verb: 'post', custom_headers: { 'x-mark': `header-of-${who}` } }
  const destination = await make(`${en}/destinations`, { name: `${who}-destination`, type: 'ibmce', config: { params } })
  const subscription = await make(`${en}/subscriptions`, { name: `${who}-sub`, topic_id: id(topic), destination_id: id(destination) })
  await make(`${ce}/secrets`, { name: `${who}-generic`, format: 'generic', data: { value: `value-of-${who}` } })
  await make(`${ce}/secrets`, { name: `${who}-tls`, format: 'tls', data: { tls_cert: pair.certificate + pair.intermediate, tls_key: pair.privateKey } })
  await make(`${ce}/config_maps`, { name: `${who}-map`, data: { value: `setting-of-${who}` } })
  await make(`${ce}/builds`, {
    ...{ name: `${who}-build`, source_type: 'local', strategy_type: 'buildpacks', output_image: `private/${who}`, output_secret: 'none' },
  })
  await make(`${ce}/domain_mappings`, {
    ...{ name: `${who}.example.com`, component: { name: `${who}-app`, resource_type: 'app_v2' }, tls_secret: `${who}-tls` },
  })
  await make(`${ce}/jobs`, { name: `${who}-job`, image_reference: `private/${who}` })
  await make(`${ce}/job_runs`, { name: `${who}-run`, job_name: `${who}-job` })
  // Its image was never built: it is over at once, and what is read of it stays.
  await eventually(`the job run of ${who} is over`, async () => (await call('GET', `${ce}/job_runs/${who}-run`, { token })).text.includes('"failed"'))
  const serviceId = await make(`${iam}/serviceids/`, { account_id: account, name: `${who}-service-id` })
  const apikey = await make(`${iam}/apikeys`, { name: `${who}-key`, iam_id: id(serviceId, 'iam_id') })
  const profile = await make(`${iam}/profiles`, { name: `${who}-profile`, account_id: account })
  const link = await make(`${iam}/profiles/${id(profile)}/links`, {
    ...{ name: `${who}-link`, cr_type: 'CE', link: { crn: id(project, 'crn'), component_type: 'application', component_name: `${who}-app` } },
  })
  const policy = await make(`${at('iam policies v1')}`, accessPolicy(account, id(serviceId, 'iam_id')))
  const key = await make(`${env.RESOURCE_CONTROLLER_URL}/v2/resource_keys`, { name: `${who}-resource-key`, source: guid, role: 'Reader' })
  const objects = {
    ...{ secret_groups: id(secretGroup), secrets: id(secret), versions: id(version), sources: id(source), topics: id(topic), destinations: id(destination) },
    ...{
      subscriptions: id(subscription),
      config_maps: `${who}-map`,
      builds: `${who}-build`,
      jobs: `${who}-job`,
      job_runs: `${who}-run`,
      domain_mappings: `${who}.example.com`,
      apps: `${who}-app`,
    },
    ...{ serviceids: id(serviceId), apikeys: id(apikey), profiles: id(profile), links: id(link), policies: id(policy), resource_groups: id(group) },
    ...{ resource_instances: guid, resource_keys: id(key, 'guid'), accounts: account, projects: names.project, secret_iam_id: id(serviceId, 'iam_id') },
    ...{ ce_secrets: `${who}-generic`, crn: names.secretsManagerCrn, en_crn: id(eventNotifications, 'crn'), instance: names.eventNotifications },
  }
  const contents = ['payload', 'header', 'value', 'setting', 'object'].map((what) => `${what}-of-${who}`)
  const marks = [...contents, account, guid, id(secret), id(policy), id(apikey), id(profile), names.bucket]
  return { token, account, names, places, objects, contents, marks }
}

function accessPolicy(account: string, iamId: string) {
  const attribute = (name: string, value: string) => ({ name, value })
  return {
    type: 'access',
    subjects: [{ attributes: [attribute('iam_id', iamId)] }],
    roles: [{ role_id: 'crn:v1:bluemix:public:iam::::serviceRole:Reader' }],
    resources: [{ attributes: [attribute('accountId', account), attribute('serviceName', 'secrets-manager')] }],
  }
}

/** The parameters of a path with an owner's objects: `/topics/:id` is their topic. */
function paramsOf(path: string, owner: Owner, place: Place): Record<string, string> {
  const segments = path.split('/')
  const params: Record<string, string> = {}
  for (const [at, segment] of segments.entries()) {
    if (segment === '*') params['*'] = OBJECT
    if (!segment.startsWith(':') || place.params[segment.slice(1)] !== undefined) continue
    const before = place.name.startsWith('iam policies') ? 'policies' : (segments[at - 1] ?? '')
    const name = place.name === 'code-engine' && before === 'secrets' ? 'ce_secrets' : before
    params[segment.slice(1)] = owner.objects[name] ?? '00000000-0000-4000-8000-000000000000'
  }
  return params
}

const isOpen = ([, , action, { mode }]: Route) => action === 'public' || mode === 'not-implemented'

/** Everything of an owner that can be read, to see whether somebody else changed it. */
async function readAll(owner: Owner): Promise<Record<string, string>> {
  const read: Record<string, string> = {}
  for (const place of owner.places)
    for (const route of place.routes) {
      const [method, path] = route
      if (method !== 'GET' || isOpen(route)) continue
      const query = place.name.startsWith('iam policies')
        ? `?account_id=${owner.account}`
        : path.includes('/everleaf/')
          ? `?component_type=job_run&name=${owner.objects.job_runs}`
          : ''
      const { status, text } = await call('GET', urlOf(place, path, paramsOf(path, owner, place)) + query, { token: owner.token, headers: place.headers })
      // What reading itself moves is no change of anybody's.
      read[`${place.name} ${path}`] =
        `${status} ${status !== 200 ? '' : text.replace(/"(trace|retrieved_at|last_authn|authn_count|downloaded)":("[^"]*"|\d+|true|false),?/g, '')}`
    }
  return read
}

test('the owner reads what is theirs, each operation at least once', async () => {
  const read = await readAll(theirs)
  const missing = Object.entries(read).filter(([, text]) => !text.startsWith('200'))
  // No app runs in this account, so there are no app, revisions, instances, runs; nor anything without parameters of its own.
  assert.deepEqual(
    missing
      .map(([what, text]) => `${what} ${text.slice(0, 3)}`)
      .filter((line) => !/apps|build_runs|account_id|details|secret_types|registration|rules|quota/.test(line)),
    [],
  )
})

const STATES = ['whole path', 'objects in the path'] as const
for (const swapped of STATES) {
  test(`nothing of another account is read or changed by its ids in the ${swapped}`, { timeout: 120_000 }, async () => {
    const before = await readAll(theirs)
    const wrong: string[] = []
    let asked = 0
    for (const [index, place] of theirs.places.entries()) {
      const from = swapped === 'whole path' ? place : mine.places[index]
      assert.ok(from)
      for (const route of place.routes) {
        const [method, path, action] = route
        if (isOpen(route) || (swapped === 'objects in the path' && !path.includes(':'))) continue
        const params = { ...place.params, ...paramsOf(path, theirs, place), ...(swapped === 'whole path' ? {} : { project_id: mine.names.project }) }
        const { status, text } = await call(method, urlOf(from, path, params), { token: mine.token, headers: { 'if-match': '*', ...from.headers } })
        asked++
        const line = `${place.name}: ${method} ${path}: ${status} ${text.slice(0, 160)}`
        const isList = action === 'any' || !/:(?!project_id)/.test(path)
        if (status < 300 && !(isList && (swapped === 'objects in the path' || !path.includes(':')))) wrong.push(line)
        if (status >= 500) wrong.push(line)
        // Ids that the caller sent come back in messages; the content does not.
        if (theirs.contents.some((mark) => text.includes(mark))) wrong.push(`leaked ${line}`)
      }
    }
    assert.deepEqual(wrong, [])
    assert.ok(asked > 60, String(asked))
    assert.deepEqual(await readAll(theirs), before)
  })
}

test('lists of an account hold nothing of another', async () => {
  const wrong: string[] = []
  for (const place of mine.places)
    for (const route of place.routes) {
      const [method, path] = route
      if (method !== 'GET' || isOpen(route)) continue
      const { text } = await call('GET', urlOf(place, path, paramsOf(path, mine, place)), { token: mine.token, headers: place.headers })
      const leaked = theirs.marks.find((mark) => text.includes(mark))
      if (leaked !== undefined) wrong.push(`${place.name}: ${path} shows ${leaked}`)
    }
  assert.deepEqual(wrong, [])
})

/** Calls of `mine` whose body or query names something of `theirs`: refused, every one. */
type Named = readonly [method: string, place: string, path: string, body?: Json | string, headers?: Readonly<Record<string, string>>]
const NAMED: Readonly<Record<string, () => Named>> = {
  'an API key of their service ID': () => ['POST', 'iam identity', '/apikeys', { name: 'x', iam_id: theirs.objects.secret_iam_id }],
  'an API key in their account': () => ['POST', 'iam identity', '/apikeys', { name: 'x', iam_id: mine.objects.secret_iam_id, account_id: theirs.account }],
  'a service ID in their account': () => ['POST', 'iam identity', '/serviceids/', { name: 'x', account_id: theirs.account }],
  'a profile in their account': () => ['POST', 'iam identity', '/profiles', { name: 'x', account_id: theirs.account }],
  'a list of their service IDs': () => ['GET', 'iam identity', `/serviceids/?account_id=${theirs.account}`],
  'a list of their API keys': () => ['GET', 'iam identity', `/apikeys?account_id=${theirs.account}&scope=account`],
  'a list of their profiles': () => ['GET', 'iam identity', `/profiles?account_id=${theirs.account}`],
  'their account settings': () => ['GET', 'iam identity', `/accounts/${theirs.account}/settings/identity`],
  'a policy on their account': () => ['POST', 'iam policies v1', '', accessPolicy(theirs.account, String(mine.objects.secret_iam_id))],
  'a list of their policies': () => ['GET', 'iam policies v1', `/?account_id=${theirs.account}`],
  'a list of their policies, v2': () => ['GET', 'iam policies v2', `/policies?account_id=${theirs.account}`],
  'a secret in their group': () => [
    ...(['POST', 'secrets-manager', '/api/v2/secrets'] as const),
    { secret_type: 'arbitrary', name: 'x', payload: 'x', secret_group_id: theirs.objects.secret_groups },
  ],
  'a registration with their Event Notifications': () => [
    ...(['POST', 'secrets-manager', '/api/v2/notifications/registration'] as const),
    { event_notifications_instance_crn: theirs.objects.en_crn, event_notifications_source_name: 'intruder' },
  ],
  'a topic on their source': () => ['POST', 'event-notifications', '/topics', { name: 'x', sources: [{ id: theirs.objects.sources, rules: [] }] }],
  'a subscription to their topic': () => [
    ...(['POST', 'event-notifications', '/subscriptions'] as const),
    { name: 'x', topic_id: theirs.objects.topics, destination_id: mine.objects.destinations },
  ],
  'a subscription for their destination': () => [
    ...(['POST', 'event-notifications', '/subscriptions'] as const),
    { name: 'x', topic_id: mine.objects.topics, destination_id: theirs.objects.destinations },
  ],
  'an event of their source': () => [
    ...(['POST', 'event-notifications', '/notifications'] as const),
    { specversion: '1.0', id: '1', source: 'x', type: 'x', ibmensourceid: theirs.objects.sources, ibmendefaultshort: 'x', ibmendefaultlong: 'x', data: {} },
  ],
  'a list of their buckets': () => ['GET', 'object-storage', '/', undefined, { 'ibm-service-instance-id': theirs.names.objectStorage }],
  'a bucket in their instance': () => ['PUT', 'object-storage', '/planted', '', { 'ibm-service-instance-id': theirs.names.objectStorage }],
  'a bucket of the name that theirs has': () => ['PUT', 'object-storage', `/${theirs.names.bucket}`, ''],
  'a copy of their object': () => [
    ...(['PUT', 'object-storage', `/${mine.names.bucket}/copied`] as const),
    ...(['', { 'x-amz-copy-source': `/${theirs.names.bucket}/${OBJECT}` }] as const),
  ],
  'the end of many of their objects': () => [
    ...(['POST', 'object-storage', `/${theirs.names.bucket}?delete`] as const),
    `<Delete><Object><Key>${OBJECT}</Key></Object></Delete>`,
  ],
  'a project in their resource group': () => ['POST', 'code-engine', '/projects', { name: 'x', resource_group_id: theirs.objects.resource_groups }],
  'an instance in their resource group': () => [
    ...(['POST', 'resource-controller', '/v2/resource_instances'] as const),
    { name: 'x', target: 'us-south', resource_group: theirs.objects.resource_groups, resource_plan_id: 'secrets-manager-standard' },
  ],
  'a key of their instance by GUID': () => ['POST', 'resource-controller', '/v2/resource_keys', { name: 'x', source: theirs.names.secretsManager }],
  'a key of their instance by CRN': () => ['POST', 'resource-controller', '/v2/resource_keys', { name: 'x', source: theirs.names.secretsManagerCrn }],
  'their instance by CRN': () => ['GET', 'resource-controller', `/v2/resource_instances/${encodeURIComponent(theirs.names.secretsManagerCrn)}`],
  'the end of their instance by CRN': () => ['DELETE', 'resource-controller', `/v2/resource_instances/${encodeURIComponent(theirs.names.secretsManagerCrn)}`],
}
for (const [what, ask] of Object.entries(NAMED)) {
  test(`refused: ${what}`, async () => {
    const [method, name, path, body, headers] = ask()
    const place = mine.places.find((one) => one.name === name)
    const { status, text } = await call(method, `${place?.url}${path}`, { token: mine.token, body, headers: { ...place?.headers, ...headers } })
    assert.ok(status >= 400 && status < 500, `${status} ${text}`)
    assert.ok(!theirs.contents.some((mark) => text.includes(mark)), text)
  })
}

test('a list narrowed to what is theirs is empty', async () => {
  for (const [name, path] of [
    ['secrets-manager', `/api/v2/secrets?groups=${theirs.objects.secret_groups}`],
    ['resource-controller', `/v2/resource_instances?guid=${theirs.names.secretsManager}`],
    ['resource-controller', `/v2/resource_instances?resource_group_id=${theirs.objects.resource_groups}`],
    ['resource-controller', `/v2/resource_groups?account_id=${theirs.account}`],
    ['iam identity', `/apikeys?iam_id=${theirs.objects.secret_iam_id}`],
  ] as const) {
    const place = mine.places.find((one) => one.name === name)
    const { status, text } = await call('GET', `${place?.url}${path}`, { token: mine.token })
    const found = status === 200 ? Object.values(JSON.parse(text) as Record<string, unknown>).filter((value) => Array.isArray(value) && value.length > 0) : []
    assert.deepEqual(found, [], `${path}: ${text}`)
  }
})

test('rights on one instance or project are none on another of the same account', { timeout: 120_000 }, async () => {
  const { env } = platform
  const iam = mine.places.find(({ name }) => name === 'iam identity')?.url
  const made = await call('POST', `${iam}/serviceids/`, { token: mine.token, body: { account_id: mine.account, name: 'narrow', apikey: { name: 'narrow' } } })
  const { iam_id: iamId, apikey } = JSON.parse(made.text) as { iam_id: string; apikey: { apikey: string } }
  const own = {
    ...{ codeengine: mine.names.project, 'secrets-manager': mine.names.secretsManager, 'event-notifications': mine.names.eventNotifications },
    'cloud-object-storage': mine.names.objectStorage,
  }
  const roles = ['crn:v1:bluemix:public:iam::::serviceRole:Manager', 'crn:v1:bluemix:public:iam::::role:Administrator']
  for (const [serviceName, serviceInstance] of Object.entries(own)) {
    const attributes = Object.entries({ accountId: mine.account, serviceName, serviceInstance }).map(([name, value]) => ({ name, value }))
    const policy = { type: 'access', subjects: [{ attributes: [{ name: 'iam_id', value: iamId }] }], roles: roles.map((role_id) => ({ role_id })) }
    const { status, text } = await call('POST', `${env.IAM_POLICY_MANAGEMENT_URL}/v1/policies`, {
      token: mine.token,
      body: { ...policy, resources: [{ attributes }] },
    })
    assert.equal(status, 201, text)
  }
  const token = await login(env, apikey.apikey)
  // The first start's instances and project, and the new one of Object Storage, are others of the same account.
  const bucket = await makeBucket(platform, { token: mine.token, group: String(mine.objects.resource_groups), name: 'mine-too' })
  const others = placesOf(platform, {
    ...bucket,
    ...{ project: env.CODE_ENGINE_PROJECT_ID ?? '', secretsManager: env.SECRETS_MANAGER_URL?.split('/').at(-1) ?? '' },
    ...{
      eventNotifications: env.EVENT_NOTIFICATIONS_GUID ?? '',
      secretsManagerCrn: secretsManagerCrn(env.SECRETS_MANAGER_URL?.split('/').at(-1) ?? '', mine.account),
    },
  })
  const wrong: string[] = []
  for (const place of others.filter(({ service }) => Object.keys(own).includes(service)))
    for (const route of place.routes) {
      const [method, path, action] = route
      if (isOpen(route) || action === 'any') continue
      const { status } = await call(method, urlOf(place, path, { project_id: env.CODE_ENGINE_PROJECT_ID ?? '' }), { token, headers: place.headers })
      if (status !== 403) wrong.push(`${place.name}: ${method} ${path}: ${status}`)
    }
  assert.deepEqual(wrong, [])
  const place = mine.places.find(({ name }) => name === 'secrets-manager')
  assert.ok(place)
  assert.equal((await call('GET', urlOf(place, '/api/v2/secrets', {}), { token })).status, 200, 'and on their own they are')
})
