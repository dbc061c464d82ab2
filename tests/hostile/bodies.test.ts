import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eventually, freshHome, type Running, startPlatform } from '../support/platform.ts'

const home = freshHome()
let platform: Running
let at: Readonly<Record<'secrets' | 'project' | 'events' | 'iam' | 'controller', string>>
let source: string
let account: string
before(async () => {
  platform = await startPlatform(home)
  const { env, token } = platform
  account = (JSON.parse(Buffer.from((await token()).split('.')[1] ?? '', 'base64url').toString()) as { account: { bss: string } }).account.bss
  at = {
    secrets: `${env.SECRETS_MANAGER_URL}/api/v2`,
    project: `${env.CODE_ENGINE_URL}/projects/${env.CODE_ENGINE_PROJECT_ID}`,
    events: `${env.EVENT_NOTIFICATIONS_URL}/v1/instances/${env.EVENT_NOTIFICATIONS_GUID}`,
    iam: `${env.IAM_IDENTITY_URL}/v1`,
    controller: `${env.RESOURCE_CONTROLLER_URL}/v2`,
  }
  source = String((await must('POST', `${at.events}/sources`, { name: 'src', description: 'x', enabled: true })).id)
})
after(async () => {
  await platform.stop()
  home[Symbol.dispose]()
})

async function must(method: string, url: string, body?: unknown, headers?: Record<string, string>): Promise<Record<string, unknown>> {
  const answer = await platform.api(method, url, body, headers)
  assert.ok(answer.status < 300, `${method} ${url}: ${answer.status} ${answer.text}`)
  return answer.body
}

const event = () => ({
  specversion: '1.0',
  id: 'e',
  source: 'me',
  type: 'thing',
  ibmensourceid: source,
  ibmendefaultshort: 's',
  ibmendefaultlong: 'l',
  data: {},
})
const KIB = 1024
const SIZES: readonly (readonly [string, number, () => readonly [string, unknown]])[] = [
  ['an event', 64 * KIB, () => [`${at.events}/notifications`, event()]],
  ['a topic', 256 * KIB, () => [`${at.events}/topics`, { name: 'big' }]],
  ['a service ID', 256 * KIB, () => [`${at.iam}/serviceids/`, { account_id: account, name: 'big' }]],
  ['an instance', 256 * KIB, () => [`${at.controller}/resource_instances`, { name: 'x' }]],
  ['a secret', 4 * KIB * KIB, () => [`${at.secrets}/secrets`, { secret_type: 'arbitrary', name: 'big', payload: 'x' }]],
  ['a config map', 4 * KIB * KIB, () => [`${at.project}/config_maps`, { name: 'big', data: { a: 'x' } }]],
]
for (const [what, limit, make] of SIZES) {
  test(`${what} of ${limit} bytes is read, one byte more is refused with 413`, async () => {
    const [url, body] = make()
    const text = JSON.stringify(body)
    const padded = (bytes: number) => text + ' '.repeat(bytes - text.length)
    const over = await platform.api('POST', url, padded(limit + 1))
    assert.equal(over.status, 413, over.text)
    const within = await platform.api('POST', url, padded(limit))
    assert.ok(within.status !== 413 && within.status < 500, `${within.status} ${within.text}`)
  })
}

const LISTS: readonly (readonly [string, number, () => string])[] = [
  ['secrets', 1_000, () => `${at.secrets}/secrets?limit=`],
  ['topics', 100, () => `${at.events}/topics?limit=`],
  ['sources', 100, () => `${at.events}/sources?limit=`],
  ['destinations', 100, () => `${at.events}/destinations?limit=`],
  ['subscriptions', 100, () => `${at.events}/subscriptions?limit=`],
  ['deliveries', 200, () => `${at.events}/everleaf/deliveries?limit=`],
  ['instances', 100, () => `${at.controller}/resource_instances?limit=`],
  ['resource keys', 100, () => `${at.controller}/resource_keys?limit=`],
  ['service IDs', 100, () => `${at.iam}/serviceids?account_id=${account}&pagesize=`],
  ['API keys', 100, () => `${at.iam}/apikeys?account_id=${account}&pagesize=`],
  ['profiles', 100, () => `${at.iam}/profiles?account_id=${account}&pagesize=`],
  ['policies', 100, () => `${at.iam}/policies?account_id=${account}&limit=`],
  ['policies in their second form', 100, () => `${at.iam.replace(/v1$/, 'v2')}/policies?account_id=${account}&limit=`],
]
for (const [what, most, make] of LISTS) {
  test(`a page of ${most} ${what} can be asked for, one of ${most + 1} is refused with 400`, async () => {
    const within = await platform.api('GET', make() + most)
    assert.equal(within.status, 200, within.text)
    const over = await platform.api('GET', make() + (most + 1))
    assert.equal(over.status, 400, over.text)
  })
}

for (const what of ['apps', 'jobs', 'job_runs', 'builds', 'build_runs', 'secrets', 'config_maps', 'domain_mappings'])
  test(`a page of ${what} of Code Engine has 100 at most, whatever is asked for`, async () => {
    for (const asked of [100, 101, 1_000]) assert.equal((await must('GET', `${at.project}/${what}?limit=${asked}`)).limit, 100)
  })

/** JSON text with a map inside. */
const secretWith = (name: string, metadata: string) => `{"secret_type":"arbitrary","name":"${name}","payload":"x","custom_metadata":${metadata}}`
const nested = (depth: number) => '{"a":'.repeat(depth - 1) + '{}' + '}'.repeat(depth - 1)
const flat = (keys: number) => `{${Array.from({ length: keys }, (_one, n) => `"k${n}":1`).join(',')}}`
for (const [what, within, over] of [
  // The body itself is one level and four members.
  ['32 levels', nested(31), nested(32)],
  ['1 000 members', flat(996), flat(997)],
] as const) {
  test(`a body of ${what} is taken, one more is refused`, async () => {
    const name = what.replaceAll(/\W/g, '-')
    const taken = await platform.api('POST', `${at.secrets}/secrets`, secretWith(name, within))
    assert.equal(taken.status, 201, taken.text)
    assert.equal((await platform.api('POST', `${at.secrets}/secrets`, secretWith(`${name}-over`, over))).status, 400)
  })
}

test('a body nested deeper than any stack is refused, and the platform goes on', async () => {
  const deep = '['.repeat(1_000_000)
  assert.equal((await platform.api('POST', `${at.secrets}/secrets`, deep)).status, 400)
  assert.equal((await platform.api('POST', `${at.project}/config_maps`, `{"name":"x","data":${deep}`)).status, 400)
  assert.equal((await platform.api('GET', `${at.secrets}/secrets`)).status, 200)
})

test('a filter of 255 characters is taken, one more is refused; so is a deep or a dear one', async () => {
  const topic = (filter: string, name: string) => ({
    name,
    sources: [{ id: source, rules: [{ enabled: true, event_type_filter: '$.*', notification_filter: filter }] }],
  })
  const long = (length: number) => `$[?(@.a == '${'x'.repeat(length - 15)}')]`
  const taken = await platform.api('POST', `${at.events}/topics`, topic(long(255), 'filter-at'))
  assert.equal(taken.status, 201, taken.text)
  for (const [name, filter] of [
    ['long', long(256)],
    ['deep', `$[?(${'('.repeat(80)}@.a == 1${')'.repeat(80)})]`],
    ['code', `$[?(process.exit())]`],
    ['constructor', `$[?(@.constructor.constructor('return process')())]`],
  ] as const)
    assert.equal((await platform.api('POST', `${at.events}/topics`, topic(filter, name))).status, 400, name)
})

// Keys that mean something to JavaScript, written as text: an object literal would set the prototype.
const KEYS = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__', 'isPrototypeOf']
const MAP = `{${KEYS.map((key) => `"${key}":"plain"`).join(',')}}`
const isWhole = (map: unknown) => {
  assert.deepEqual(Object.entries(map as object).sort(), KEYS.map((key) => [key, 'plain']).sort())
}
const ROUND_TRIPS: Readonly<Record<string, () => Promise<unknown>>> = {
  "a secret's custom_metadata": async () => (await must('POST', `${at.secrets}/secrets`, secretWith('proto', MAP))).custom_metadata,
  "a version's custom_metadata": async () => {
    const { id } = await must('POST', `${at.secrets}/secrets`, { secret_type: 'arbitrary', name: 'proto-version', payload: 'x' })
    await must('POST', `${at.secrets}/secrets/${id}/versions`, `{"payload":"y","version_custom_metadata":${MAP}}`)
    return (await must('GET', `${at.secrets}/secrets/${id}/versions/current`)).version_custom_metadata
  },
  'a config map': async () => {
    await must('POST', `${at.project}/config_maps`, `{"name":"proto","data":${MAP}}`)
    return (await must('GET', `${at.project}/config_maps/proto`)).data
  },
  'a generic secret': async () => {
    await must('POST', `${at.project}/secrets`, `{"name":"proto","format":"generic","data":${MAP}}`)
    return (await must('GET', `${at.project}/secrets/proto`)).data
  },
  "a destination's custom headers": async () => {
    const params = `{"type":"application","url":"https://a.example.com","verb":"post","custom_headers":${MAP}}`
    const { id } = await must('POST', `${at.events}/destinations`, `{"name":"proto","type":"ibmce","config":{"params":${params}}}`)
    return ((await must('GET', `${at.events}/destinations/${id}`)).config as { params: { custom_headers: unknown } }).params.custom_headers
  },
  "an instance's parameters": async () => {
    const groups = await must('GET', `${platform.env.RESOURCE_MANAGER_URL}/v2/resource_groups?account_id=${account}`)
    const [group] = groups.resources as { id: string }[]
    const head = `"name":"proto","target":"eu-de","resource_group":"${group?.id}","resource_plan_id":"secrets-manager-standard"`
    return (await must('POST', `${at.controller}/resource_instances`, `{${head},"parameters":${MAP}}`)).parameters
  },
}
for (const [what, round] of Object.entries(ROUND_TRIPS)) test(`keys of JavaScript's own objects are plain data in ${what}`, async () => isWhole(await round()))

test('after all of that no object has anything new', async () => {
  const { body } = await platform.api('GET', `${at.secrets}/secrets?limit=1`)
  assert.deepEqual(
    [...new Set(Object.keys(body))].filter((key) => KEYS.includes(key)),
    [],
  )
  assert.equal((await platform.api('POST', `${at.secrets}/secrets`, '{"__proto__":{"secret_type":"arbitrary","name":"inherited","payload":"x"}}')).status, 400)
})

test('page tokens and starts that were tampered with, or belong to another list, are refused or open nothing', async () => {
  for (const n of [1, 2, 3]) await must('POST', `${at.iam}/serviceids/`, { account_id: account, name: `page-${n}` })
  const page = await must('GET', `${at.iam}/serviceids?account_id=${account}&pagesize=1`)
  const token = new URL(String(page.next)).searchParams.get('pagetoken') ?? ''
  assert.equal((await platform.api('GET', `${at.iam}/serviceids?account_id=${account}&pagesize=1&pagetoken=${token}`)).status, 200)
  const [text = '', mac = ''] = token.split('.')
  const other = Buffer.from(`0|${'x'.repeat(10)}`).toString('base64url')
  const forged = [`${other}.${mac}`, `${text}.${'A'.repeat(mac.length)}`, `${text}.`, text, '', '.', 'x'.repeat(1_024), token.slice(0, -3)]
  for (const bad of forged.filter((one) => one !== token))
    assert.equal((await platform.api('GET', `${at.iam}/serviceids?account_id=${account}&pagesize=1&pagetoken=${encodeURIComponent(bad)}`)).status, 400, bad)
  // The same token with other filters, and on another list.
  assert.equal((await platform.api('GET', `${at.iam}/serviceids?account_id=${account}&pagesize=2&pagetoken=${token}`)).status, 400)
  assert.equal((await platform.api('GET', `${at.iam}/apikeys?account_id=${account}&pagesize=1&pagetoken=${token}`)).status, 400)
  for (const start of ["' OR 1=1 --", 'x', Buffer.from("0|' OR 1=1").toString('base64url')])
    assert.equal((await platform.api('GET', `${at.controller}/resource_instances?start=${encodeURIComponent(start)}`)).status, 400, start)
  for (const query of ['limit=0', 'limit=-1', 'limit=1e9', 'limit=x', 'offset=-1', 'limit=1&limit=2', 'sort=name;drop'])
    assert.equal((await platform.api('GET', `${at.secrets}/secrets?${query}`)).status, 400, query)
})

test('a change needs the tag of what it changes: none, a made-up and an old one change nothing', async () => {
  const url = `${at.project}/config_maps/tagged`
  await must('POST', `${at.project}/config_maps`, { name: 'tagged', data: { a: '1' } })
  const first = String((await must('GET', url)).entity_tag)
  await must('PUT', url, { data: { a: '2' } }, { 'if-match': first })
  for (const tag of [undefined, first, 'made-up', `W/"${first}"`, '"', ' ', '0', `${first}, *`]) {
    const { status } = await platform.api('PUT', url, { data: { a: '3' } }, tag === undefined ? {} : { 'if-match': tag })
    assert.ok(status >= 400 && status < 500, `${tag}: ${status}`)
  }
  assert.deepEqual((await must('GET', url)).data, { a: '2' })
})

test('of two writers with one tag, one wins', async () => {
  const url = `${at.project}/config_maps/raced`
  await must('POST', `${at.project}/config_maps`, { name: 'raced', data: { a: '0' } })
  const tag = String((await must('GET', url)).entity_tag)
  const statuses = await Promise.all(
    Array.from({ length: 8 }, async (_one, n) => (await platform.api('PUT', url, { data: { a: String(n) } }, { 'if-match': tag })).status),
  )
  assert.equal(statuses.filter((status) => status === 200).length, 1, statuses.join(' '))
})

// CR, LF, NUL, beyond Latin-1, path steps, markup, terminal controls.
const NAMES = [
  'a\r\nSet-Cookie: x',
  'a\nb',
  'a\0b',
  '../../etc/passwd',
  '..',
  '.',
  '/etc',
  'a/b',
  'a\\b',
  '\u202egnp.exe',
  '\u001b[2J',
  '<script>x</script>',
  "'; drop table--",
  ' ',
  '',
  'x'.repeat(2_000),
]
const NAMED: Readonly<Record<string, (name: string) => readonly [string, unknown]>> = {
  'a secret': (name) => [`${at.secrets}/secrets`, { secret_type: 'arbitrary', name, payload: 'x' }],
  'a secret group': (name) => [`${at.secrets}/secret_groups`, { name }],
  'an app': (name) => [`${at.project}/apps`, { name, image_reference: 'private/x' }],
  'a config map': (name) => [`${at.project}/config_maps`, { name, data: {} }],
  'a key of a config map': (name) => [`${at.project}/config_maps`, { name: `m${Math.random()}`.replace('.', ''), data: { [name]: 'x' } }],
  'a key of a secret': (name) => [`${at.project}/secrets`, { name: `s${Math.random()}`.replace('.', ''), format: 'generic', data: { [name]: 'x' } }],
  'a Code Engine secret': (name) => [`${at.project}/secrets`, { name, format: 'generic', data: { a: 'x' } }],
  'a domain mapping': (name) => [`${at.project}/domain_mappings`, { name, component: { name: 'a', resource_type: 'app_v2' }, tls_secret: 't' }],
  'a build': (name) => [`${at.project}/builds`, { name, source_type: 'local', strategy_type: 'buildpacks', output_image: 'private/x', output_secret: 'none' }],
}
for (const [what, make] of Object.entries(NAMED)) {
  test(`${what} takes no hostile name`, async () => {
    const wrong: string[] = []
    for (const name of NAMES) {
      const { status, text } = await platform.api('POST', ...make(name))
      if (status < 400 || status >= 500) wrong.push(`${JSON.stringify(name.slice(0, 30))}: ${status} ${text.slice(0, 100)}`)
    }
    assert.deepEqual(wrong, [])
  })
}

test('names and values of custom headers cannot begin a header of their own', async () => {
  const wrong: string[] = []
  for (const [name, value] of [
    ['x', 'a\r\nX-Evil: 1'],
    ['x', 'a\nb'],
    ['x', 'a\0b'],
    ['x', '\u0100'],
    ['x\r\nX-Evil', 'a'],
    ['x:y', 'a'],
    ['', 'a'],
    ['Host', 'evil.example.com'],
    ['Content-Length', '0'],
    ['Transfer-Encoding', 'chunked'],
    ['Connection', 'close'],
  ] as const) {
    const config = { params: { type: 'application', url: 'https://a.example.com', verb: 'post', custom_headers: { [name]: value } } }
    const { status } = await platform.api('POST', `${at.events}/destinations`, { name: 'h', type: 'ibmce', config })
    if (status !== 400) wrong.push(`${JSON.stringify([name, value])}: ${status}`)
  }
  assert.deepEqual(wrong, [])
})

test('a free text may hold anything, comes back as it was, and reaches no header', async () => {
  const description = 'a\r\nX-Evil: 1\u202e<script>\u001b[2J'
  const answer = await platform.api('POST', `${at.secrets}/secrets`, { secret_type: 'arbitrary', name: 'described', payload: 'x', description })
  assert.equal(answer.body.description, description)
  assert.equal(answer.headers.get('x-evil'), null)
})

const CANARY = 'canary-8f2b1c7e'
/** One of each class of refusal, with a canary where a secret would be. */
const FAILURES: Readonly<Record<string, () => Promise<{ status: number; text: string }>>> = {
  'broken JSON': () => platform.api('POST', `${at.secrets}/secrets`, `{"payload":"${CANARY}`),
  'a payload of the wrong type': () => platform.api('POST', `${at.secrets}/secrets`, { secret_type: 'arbitrary', name: 'x1', payload: [CANARY] }),
  'a key that is none': () =>
    platform.api('POST', `${at.secrets}/secrets`, { secret_type: 'imported_cert', name: 'x2', certificate: CANARY.repeat(9), private_key: CANARY.repeat(9) }),
  'a Code Engine secret of the wrong type': () => platform.api('POST', `${at.project}/secrets`, { name: 'x3', format: 'generic', data: { a: [CANARY] } }),
  'a TLS secret that is none': () =>
    platform.api('POST', `${at.project}/secrets`, { name: 'x4', format: 'tls', data: { tls_cert: CANARY, tls_key: [CANARY] } }),
  'a header of the wrong type': () =>
    platform.api('POST', `${at.events}/destinations`, {
      name: 'x',
      type: 'ibmce',
      config: { params: { type: 'application', url: 'https://a.example.com', custom_headers: { 'x-key': `${CANARY}\n` } } },
    }),
  'a URL with a password': () =>
    platform.api('POST', `${at.events}/destinations`, {
      name: 'x',
      type: 'ibmce',
      config: { params: { type: 'application', url: `https://u:${CANARY}@a.example.com` } },
    }),
  'an unknown token': () => platform.api('GET', `${at.secrets}/secrets`, undefined, { authorization: `Bearer ${CANARY}` }),
  'an unknown API key': () => post(`${platform.env.IAM_AUTH_URL}/identity/token`, { grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey: CANARY }),
  'an unknown grant': () => post(`${platform.env.IAM_AUTH_URL}/identity/token`, { grant_type: 'x', password: CANARY }),
  'a wrong compute resource token': () =>
    post(`${platform.env.IAM_AUTH_URL}/identity/token`, { grant_type: 'urn:ibm:params:oauth:grant-type:cr-token', cr_token: CANARY, profile_name: 'x' }),
  'another media type': () => platform.api('POST', `${at.secrets}/secrets`, CANARY, { 'content-type': 'text/plain' }),
  'a body too large': () => platform.api('POST', `${at.events}/topics`, CANARY.repeat(30_000)),
  'an API key that is taken': () => platform.api('POST', `${at.iam}/apikeys`, { name: 'x', iam_id: 'nobody', apikey: CANARY.repeat(4) }),
  'no such operation': () => platform.api('PUT', `${at.secrets}/nothing`, { payload: CANARY }),
  'no such service': () => platform.api('POST', `http://127.0.0.1:${platform.ports.api}/nothing`, { payload: CANARY }),
}
async function post(url: string, form: Record<string, string>) {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(form) })
  return { status: response.status, text: await response.text() }
}
for (const [what, ask] of Object.entries(FAILURES)) {
  test(`the refusal of ${what} says what to do and repeats no secret, path, SQL or stack`, async () => {
    const { status, text } = await ask()
    assert.ok(status >= 400 && status < 500, `${status} ${text}`)
    assert.ok(!text.includes(CANARY), text)
    assert.doesNotMatch(text, /SQLITE|sqlite|select .* from|insert into|node_modules|\.ts\b|\bat \w+ \(|everleaf\.db|\/tmp\//i)
    assert.doesNotMatch(text, new RegExp(home.home))
    const body = JSON.parse(text) as Record<string, unknown>
    assert.ok('errors' in body || 'message' in body || 'errorMessage' in body, text)
  })
}
test('none of those secrets was written to the output either', () => assert.ok(!platform.output().includes(CANARY), platform.output()))

test('guessing API keys ends in 429 with Retry-After, and other callers are served', { timeout: 60_000 }, async () => {
  const guess = () =>
    fetch(`${platform.env.IAM_AUTH_URL}/identity/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey: `guess-${Math.random()}` }),
      // What the caller says of itself gives it no second budget.
      headers: { 'x-forwarded-for': `10.0.0.${Math.floor(Math.random() * 250)}` },
    })
  const refused = await eventually('429', async () => {
    const response = await guess()
    await response.arrayBuffer()
    return response.status === 429 && response
  })
  assert.match(refused.headers.get('retry-after') ?? '', /^\d+$/)
  assert.equal((await platform.api('GET', `${at.secrets}/secrets`)).status, 200)
})
