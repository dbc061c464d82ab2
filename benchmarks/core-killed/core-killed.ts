// Core killed again and again under requests to an app, each time right after a rotation was acknowledged: what fails, how soon it
// answers again, and whether the new certificate is served.
import { Agent, request } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { chainMaker } from '@everleaf/tests/support/certificates'
import { deploy, webApp } from '@everleaf/tests/support/pipeline'
import { eventually, everleaf, freshHome, startPlatform } from '@everleaf/tests/support/platform'
import { servedLeaf } from '@everleaf/tests/support/tls'
import { ms, option, report } from '../lib.ts'

const HOST = 'killed.example.com'

const times = option('times', 20)
using place = freshHome()
await using platform = await startPlatform(place)
const { env, ports, api } = platform
const project = `${env.CODE_ENGINE_URL}/projects/${env.CODE_ENGINE_PROJECT_ID}`
const endpoint = new URL(await deploy(platform, 'site', webApp(`response.end('site')`), { scale_min_instances: 1 }))
const maker = await chainMaker()
const material = ({ certificate, intermediate, privateKey }: Awaited<ReturnType<typeof maker.leaf>>) => ({ certificate, intermediate, private_key: privateKey })
const { body: secret } = await api('POST', `${env.SECRETS_MANAGER_URL}/api/v2/secrets`, {
  ...{ secret_type: 'imported_cert', name: 'killed' },
  ...material(await maker.leaf([HOST])),
})
const created = await everleaf(['renew', 'create', 'killed', '--host', HOST, '--secret', 'killed', '--app', 'site'], place)
if (created.status !== 0) throw new Error(created.stderr)
const agent = new Agent({ keepAlive: true, maxSockets: 32 })
let running = true
let made = 0
let failed = 0
const one = () =>
  new Promise<void>((resolve) => {
    made++
    const lose = () => {
      failed++
      resolve()
    }
    const outgoing = request(
      { host: '127.0.0.1', port: endpoint.port, servername: endpoint.hostname, headers: { host: endpoint.host }, rejectUnauthorized: false, agent },
      (response) =>
        response
          .resume()
          .once('end', () => (response.statusCode === 200 ? resolve() : lose()))
          .once('error', lose),
    )
    outgoing.once('error', lose).end()
  })
const load = (async () => {
  const began = performance.now()
  const under = new Set<Promise<void>>()
  while (running) {
    const due = Math.floor(((performance.now() - began) / 1_000) * 300)
    while (made < due) {
      const call = one()
      under.add(call)
      void call.then(() => under.delete(call))
    }
    await sleep(5)
  }
  await Promise.all(under)
})()
const token = await platform.token()
const back: number[] = []
const served: number[] = []
for (let n = 0; n < times; n++) {
  const next = await maker.leaf([HOST])
  const { status } = await api('POST', `${env.SECRETS_MANAGER_URL}/api/v2/secrets/${secret.id}/versions`, material(next))
  if (status !== 201) throw new Error(`a rotation was answered with ${status}`)
  process.kill(platform.corePid(), 'SIGKILL')
  const killed = performance.now()
  const isBack = async () => (await fetch(project, { headers: { authorization: `Bearer ${token}` } }).catch(() => undefined))?.status === 200
  await eventually('core answers', isBack, 20_000)
  back.push(performance.now() - killed)
  // A rotation that is lost stands out as one that is never served.
  await eventually('the new certificate is served', async () => (await servedLeaf(HOST, ports.public).catch(() => '')) === next.fingerprint, 60_000)
  served.push(performance.now() - killed)
}
running = false
await load
agent.destroy()
const slowest = Math.max(...back)
report('core-killed', [
  { what: `core killed ${times} times, ${made} requests of an app at 300/s: failed`, value: String(failed), reach: '0', met: failed === 0 },
  { what: 'acknowledged rotations that were served', value: `${served.length} of ${times}`, reach: 'all', met: served.length === times },
  { what: 'served after the kill, at the slowest', value: ms(Math.max(...served)), reach: 'told', met: undefined },
  { what: 'an API answers again after, at the slowest', value: ms(slowest), reach: '<= 2000 ms', met: slowest <= 2_000 },
])
