import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Bundle, chainMaker } from '../support/certificates.ts'
import { deploy, webApp } from '../support/pipeline.ts'
import { eventually, everleaf, freshHome, type Running, startPlatform } from '../support/platform.ts'
import { servedLeaf } from '../support/tls.ts'

const COUNT = 100
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
type Delivery = { event_id: string; notification_id: string; status: number; state: string; attempts: number }
const deliveries = async () => (await must(platform.api('GET', `${instance()}/everleaf/deliveries?limit=200`))).deliveries as Delivery[]

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

test(`${COUNT} secrets in one event: every one is replaced and proven, with one notification`, { timeout: 300_000 }, async () => {
  const hosts = Array.from({ length: COUNT }, (_, n) => `h${n}.example.com`)
  const firsts = await Promise.all(hosts.map(leafFor))
  const made: { id: string }[] = []
  for (const [n, host] of hosts.entries()) {
    const bundle = firsts[n]
    assert.ok(bundle !== undefined)
    made.push((await must(platform.api('POST', secrets(), { secret_type: 'imported_cert', name: `cert-${n}`, ...material(bundle) }))) as { id: string })
    if (n >= 40) continue
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
  const renewals = made.slice(0, 40).map(({ id }, n) => ({ name: `r${n}`, source: { id }, target: `tls-${n}`, probes: [probe(hosts[n] ?? '')] }))
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
  await Promise.all(made.map(async ({ id }, n) => must(platform.api('POST', `${secrets()}/${id}/versions`, material(seconds[n] as Bundle)))))
  await eventually(
    'all forty are served',
    async () => {
      const served = await Promise.all(hosts.slice(0, 40).map((host) => servedLeaf(host, platform.ports.public, { ca: root }).catch(() => '')))
      return served.every((fingerprint, n) => fingerprint === seconds[n]?.fingerprint)
    },
    120_000,
  )
  const done = await eventually('the delivery is done', async () => (await deliveries()).find(({ state }) => state === 'delivered'), 60_000)
  const all = await deliveries()
  assert.ok(all.length <= 2, `${all.length} notifications for ${COUNT} secrets`)
  assert.ok(done.status === 201 || done.status === 200 || done.status === 202, `sync answered ${done.status}`)
})

test('one event three times, at once and later, changes nothing after the first', { timeout: 120_000 }, async () => {
  const before = (await must(platform.api('GET', `${project()}/secrets/tls-0`))) as { entity_tag: string }
  const sent = (await deliveries()).at(-1)
  assert.ok(sent !== undefined)
  const rows = (await must(platform.api('GET', `${instance()}/everleaf/deliveries?event_id=${sent.event_id}`))).deliveries as { id: string }[]
  for (let time = 0; time < 3; time++) {
    await must(platform.api('POST', `${instance()}/everleaf/deliveries/${rows[0]?.id}/redeliver`))
    await eventually(
      'it was delivered again',
      async () =>
        (await deliveries()).find(({ notification_id: id, state, attempts }) => id === sent.notification_id && state === 'delivered' && attempts >= 1),
      60_000,
    )
  }
  const later = (await must(platform.api('GET', `${project()}/secrets/tls-0`))) as { entity_tag: string }
  assert.equal(later.entity_tag, before.entity_tag, 'the target was written again')
})

test('two rotations whose events come in the wrong order: the newest is served in the end', { timeout: 120_000 }, async () => {
  const [older, newer] = [await leafFor('h1.example.com'), await leafFor('h1.example.com')]
  const { id } = ((await must(platform.api('GET', `${secrets()}?search=cert-1`))).secrets as { id: string; name: string }[]).find(
    ({ name }) => name === 'cert-1',
  ) ?? { id: '' }
  await must(platform.api('POST', `${secrets()}/${id}/versions`, material(older)))
  const first = await eventually('the first event is delivered', async () => (await deliveries()).find(({ state }) => state === 'delivered'), 60_000)
  await must(platform.api('POST', `${secrets()}/${id}/versions`, material(newer)))
  await eventually('the newest is served', async () => (await servedLeaf('h1.example.com', platform.ports.public)) === newer.fingerprint, 60_000)
  // The event of the older version comes once more, after the newer one was put in place.
  const rows = (await must(platform.api('GET', `${instance()}/everleaf/deliveries?event_id=${first.event_id}`))).deliveries as { id: string }[]
  await must(platform.api('POST', `${instance()}/everleaf/deliveries/${rows[0]?.id}/redeliver`))
  await eventually('it was delivered again', async () => (await deliveries()).every(({ state }) => state === 'delivered'), 60_000)
  assert.equal(await servedLeaf('h1.example.com', platform.ports.public), newer.fingerprint)
})
