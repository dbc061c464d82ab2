import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Bundle, chainMaker } from '../support/certificates.ts'
import { deploy, webApp } from '../support/pipeline.ts'
import { eventually, everleaf, freshHome, type Running, startPlatform } from '../support/platform.ts'
import { servedLeaf } from '../support/tls.ts'

const COUNT = 100
/** A project takes 100 secrets and 80 mappings: not every secret of the event has a place to go. */
const RENEWALS = 40
const place = freshHome()
let platform: Running
let leafFor: (host: string) => Promise<Bundle>
let root: string
const secrets = () => `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`
const project = () => `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
const instance = () => `${platform.env.EVENT_NOTIFICATIONS_URL}/v1/instances/${platform.env.EVENT_NOTIFICATIONS_GUID}`
const must = async (what: ReturnType<Running['api']>) => {
  const answer = await what
  assert.ok(answer.status < 300, `${answer.status} ${answer.text}`)
  return answer.body
}
const material = ({ certificate, intermediate, privateKey }: Bundle) => ({ certificate, intermediate, private_key: privateKey })
type Delivery = { id: string; event_id: string; notification_id: string; status: number; state: string; attempts: number; answered_at: string }
const deliveries = async () => (await must(platform.api('GET', `${instance()}/everleaf/deliveries?limit=200`))).deliveries as Delivery[]

let repeated: Delivery | undefined
const idOf = async (name: string) => {
  const found = (await must(platform.api('GET', `${secrets()}?search=${name}`))).secrets as { id: string; name: string }[]
  return found.find((secret) => secret.name === name)?.id ?? ''
}
const tagOf = async (name: string) => (await must(platform.api('GET', `${project()}/secrets/${name}`))).entity_tag as string
/** Code Engine counts a secret's writes in its tag. */
const changesOf = async (name: string, since: string) => Number(await tagOf(name)) - Number(since)

before(async () => {
  // Events of two seconds go together, as on IBM Cloud those of a minute do.
  platform = await startPlatform({ ...place, args: ['--set', 'events.window=2s'] })
  const maker = await chainMaker()
  leafFor = (host) => maker.leaf([host])
  root = maker.root
  await deploy(platform, 'shop', webApp(`response.end('shop')`))
})
after(async () => {
  await platform.stop()
  place[Symbol.dispose]()
})

test(`${COUNT} secrets in one event: the ${RENEWALS} that have renewals are replaced and proven, with one notification`, { timeout: 300_000 }, async () => {
  const hosts = Array.from({ length: COUNT }, (_, n) => `h${n}.example.com`)
  const firsts = await Promise.all(hosts.map(leafFor))
  const made: { id: string }[] = []
  for (const [n, host] of hosts.entries()) {
    const bundle = firsts[n]
    assert.ok(bundle !== undefined)
    made.push((await must(platform.api('POST', secrets(), { secret_type: 'imported_cert', name: `cert-${n}`, ...material(bundle) }))) as { id: string })
    if (n >= RENEWALS) continue
    await must(
      platform.api('POST', `${project()}/secrets`, {
        name: `tls-${n}`,
        format: 'tls',
        data: { tls_cert: `${bundle.certificate}\n${bundle.intermediate}`, tls_key: bundle.privateKey },
      }),
    )
    await must(
      platform.api('POST', `${project()}/domain_mappings`, { name: host, component: { name: 'shop', resource_type: 'app_v2' }, tls_secret: `tls-${n}` }),
    )
  }
  // The pipeline comes with the first renewal; the other entries are written as a user would, into the config map.
  assert.equal((await everleaf(['renew', 'create', 'r0', '--host', hosts[0] ?? '', '--secret', 'cert-0', '--target', 'tls-0'], place)).status, 0)
  const probe = (host: string) => ({ host, port: platform.ports.public, connect: `127.0.0.1:${platform.ports.public}` })
  const renewals = made.slice(0, RENEWALS).map(({ id }, n) => ({ name: `r${n}`, source: { id }, target: `tls-${n}`, probes: [probe(hosts[n] ?? '')] }))
  await must(
    platform.api('PUT', `${project()}/config_maps/sync-renewals`, { data: { 'renewals.json': JSON.stringify({ version: 1, renewals }) } }, { 'if-match': '*' }),
  )
  const topics = (await must(platform.api('GET', `${instance()}/topics`))).topics as { id: string }[]
  const crn = ((await must(platform.api('GET', `${instance()}/sources`))).sources as { id: string; type: string }[]).find(
    ({ type }) => type === 'secrets-manager',
  )?.id
  await must(
    platform.api('PUT', `${instance()}/topics/${topics[0]?.id}`, {
      name: 'sync',
      sources: [{ id: crn, rules: [{ event_type_filter: "$.type == 'com.ibm.cloud.secrets-manager.secret_rotated'" }] }],
    }),
  )

  const seconds = await Promise.all(hosts.map(leafFor))
  const begun = performance.now()
  await Promise.all(made.map(async ({ id }, n) => must(platform.api('POST', `${secrets()}/${id}/versions`, material(seconds[n] as Bundle)))))
  const tookMs = performance.now() - begun
  await eventually(
    'all of them are served',
    async () => {
      const served = await Promise.all(hosts.slice(0, RENEWALS).map((host) => servedLeaf(host, platform.ports.public, { ca: root }).catch(() => '')))
      return served.every((fingerprint, n) => fingerprint === seconds[n]?.fingerprint)
    },
    120_000,
  )
  const done = await eventually('the delivery is done', async () => (await deliveries()).find(({ state }) => state === 'delivered'), 60_000)
  const all = await deliveries()
  // A window of two seconds begins with the first write: what was written within one is in one notification.
  const most = tookMs < 2_000 ? 1 : 1 + Math.ceil(tookMs / 2_000)
  assert.ok(all.length >= 1 && all.length <= most, `${all.length} notifications for ${COUNT} secrets written within ${tookMs} ms`)
  assert.ok(done.status === 201 || done.status === 200 || done.status === 202, `sync answered ${done.status}`)
})

test('one event three times at once: three deliveries, one change, the newest is served', { timeout: 120_000 }, async () => {
  const topic = ((await must(platform.api('GET', `${instance()}/topics`))).topics as { id: string }[])[0]
  const destination = ((await must(platform.api('GET', `${instance()}/destinations`))).destinations as { id: string; type: string }[]).find(
    ({ type }) => type === 'ibmce',
  )
  for (const name of ['again', 'and-again'])
    await must(platform.api('POST', `${instance()}/subscriptions`, { name, description: '', topic_id: topic?.id, destination_id: destination?.id }))
  const before = new Set((await deliveries()).map(({ id }) => id))
  const newest = await leafFor('h2.example.com')
  const tag = await tagOf('tls-2')
  await must(platform.api('POST', `${secrets()}/${await idOf('cert-2')}/versions`, material(newest)))
  const three = await eventually(
    'the three deliveries are done',
    async () => {
      const fresh = (await deliveries()).filter(({ id }) => !before.has(id))
      return fresh.length === 3 && fresh.every(({ state }) => state === 'delivered') && fresh
    },
    60_000,
  )
  assert.equal(new Set(three.map(({ notification_id: id }) => id)).size, 1, 'it is one event')
  assert.equal(await servedLeaf('h2.example.com', platform.ports.public, { ca: root }), newest.fingerprint)
  assert.equal(await changesOf('tls-2', tag), 1)
  repeated = three[0]
})

test('the same event an hour later changes nothing', { timeout: 180_000 }, async () => {
  assert.ok(repeated !== undefined, 'the test before this one keeps the event')
  const { id } = repeated
  const tag = await tagOf('tls-2')
  // Restarted with a clock that is an hour ahead: nothing is remembered but what is on disk.
  const { public: tls, private: inside } = platform.ports
  await platform.stop()
  platform = await startPlatform({
    ...place,
    args: ['--set', 'events.window=2s', '--port', `${tls}`, '--private-port', `${inside}`],
    env: { EVERLEAF_CLOCK_OFFSET: String(3_600_000) },
  })
  const served = await servedLeaf('h2.example.com', platform.ports.public, { ca: root })
  await must(platform.api('POST', `${instance()}/everleaf/deliveries/${id}/redeliver`))
  const again = await eventually('it was delivered again', async () => (await deliveries()).find((one) => one.id === id && one.state === 'delivered'), 60_000)
  assert.equal(again.status, 200, 'sync says that there was nothing to do')
  assert.ok(Date.parse(again.answered_at) - Date.parse(repeated.answered_at) > 3_500_000, 'an hour has passed for the platform')
  assert.equal(await tagOf('tls-2'), tag, 'the target was written again')
  assert.equal(await servedLeaf('h2.example.com', platform.ports.public, { ca: root }), served)
})

test('two rotations whose events come in the wrong order: the newest is served in the end', { timeout: 120_000 }, async () => {
  const [older, newer] = [await leafFor('h1.example.com'), await leafFor('h1.example.com')]
  const id = await idOf('cert-1')
  const known = new Set((await deliveries()).map((one) => one.id))
  const fresh = async () => (await deliveries()).find((one) => !known.has(one.id) && one.state === 'delivered')
  await must(platform.api('POST', `${secrets()}/${id}/versions`, material(older)))
  const first = await eventually('the first event is delivered', fresh, 60_000)
  await must(platform.api('POST', `${secrets()}/${id}/versions`, material(newer)))
  await eventually('the newest is served', async () => (await servedLeaf('h1.example.com', platform.ports.public)) === newer.fingerprint, 60_000)
  // The event of the older version comes once more, after the newer one was put in place.
  const tag = await tagOf('tls-1')
  await must(platform.api('POST', `${instance()}/everleaf/deliveries/${first.id}/redeliver`))
  await eventually('it was delivered again', async () => (await deliveries()).every(({ state }) => state === 'delivered'), 60_000)
  assert.equal(await servedLeaf('h1.example.com', platform.ports.public), newer.fingerprint)
  assert.equal(await tagOf('tls-1'), tag, 'the target was written for an older event')
})
