import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chainMaker } from '../support/certificates.ts'
import { deploy, webApp } from '../support/pipeline.ts'
import { eventually, everleaf, freshHome, type Running, startPlatform } from '../support/platform.ts'
import { servedLeaf } from '../support/tls.ts'

const HOST = 'lost.example.com'
const place = freshHome()
let platform: Running
before(async () => {
  platform = await startPlatform({ ...place, args: ['--set', 'scale.stable_window=6s'] })
  await deploy(platform, 'shop', webApp(`response.end('shop')`))
})
after(async () => {
  await platform.stop()
  place[Symbol.dispose]()
})

const events = () => `${platform.env.EVENT_NOTIFICATIONS_URL}/v1/instances/${platform.env.EVENT_NOTIFICATIONS_GUID}`

type Topic = { id: string; name: string; sources: { id: string; rules: object[] }[] }
async function topicNamed(name: string): Promise<Topic> {
  const { topics } = (await platform.api('GET', `${events()}/topics`)).body as { topics: Topic[] }
  return (await platform.api('GET', `${events()}/topics/${topics.find((topic) => topic.name === name)?.id}`)).body as unknown as Topic
}

async function setRules(name: string, rules: readonly object[]): Promise<void> {
  const { id, sources } = await topicNamed(name)
  const body = { name, description: '', sources: [{ id: sources[0]?.id, rules }] }
  const { status, text } = await platform.api('PUT', `${events()}/topics/${id}`, body)
  assert.equal(status, 200, text)
}

test('a rotation whose event is lost for good is served all the same: the timer lets sync look for it', { timeout: 180_000 }, async () => {
  const { leaf } = await chainMaker()
  const material = ({ certificate, intermediate, privateKey }: Awaited<ReturnType<typeof leaf>>) => ({ certificate, intermediate, private_key: privateKey })
  const secrets = `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`
  const first = await leaf([HOST])
  const secret = await platform.api('POST', secrets, { secret_type: 'imported_cert', name: 'lost', ...material(first) })
  const created = await everleaf(['renew', 'create', 'lost', '--host', HOST, '--secret', 'lost', '--app', 'shop'], place)
  assert.equal(created.status, 0, created.stderr)
  const [rule] = ((await topicNamed('sync-sweep')).sources[0]?.rules ?? []) as { event_schedule_filter: { expression: string } }[]
  assert.equal(rule?.event_schedule_filter.expression, '0 * * * ?', 'once an hour; this test does not wait so long')

  await setRules('sync', [])
  const next = await leaf([HOST])
  assert.equal((await platform.api('POST', `${secrets}/${secret.body.id}/versions`, material(next))).status, 201)
  await setRules('sync-sweep', [{ event_schedule_filter: { expression: '* * * * ?' } }])
  const { deliveries } = (await platform.api('GET', `${events()}/everleaf/deliveries`)).body as { deliveries: unknown[] }
  assert.deepEqual(deliveries, [], 'nobody was told of the rotation')
  assert.equal(await servedLeaf(HOST, platform.ports.public), first.fingerprint)
  await eventually('the new certificate is served', async () => (await servedLeaf(HOST, platform.ports.public)) === next.fingerprint, 90_000)
})
