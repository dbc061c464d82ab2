// Core killed again and again under requests to an app: what fails, and how soon it answers again.
import { Agent, request } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { deploy, webApp } from '@everleaf/tests/support/pipeline'
import { eventually, freshHome, startPlatform } from '@everleaf/tests/support/platform'
import { ms, option, report } from '../lib.ts'

const times = option('times', 20)
using place = freshHome()
await using platform = await startPlatform(place)
const { env } = platform
const project = `${env.CODE_ENGINE_URL}/projects/${env.CODE_ENGINE_PROJECT_ID}`
const endpoint = new URL(await deploy(platform, 'site', webApp(`response.end('site')`), { scale_min_instances: 1 }))
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
let lost = 0
for (let n = 0; n < times; n++) {
  const { status } = await platform.api('POST', `${project}/config_maps`, { name: `n-${n}`, data: {} })
  if (status !== 201) throw new Error(`a write was answered with ${status}`)
  process.kill(platform.corePid(), 'SIGKILL')
  const killed = performance.now()
  await eventually(
    'core answers',
    async () => (await fetch(`${project}/config_maps/n-${n}`, { headers: { authorization: `Bearer ${token}` } }).catch(() => undefined))?.status,
    20_000,
  ).then((answer) => {
    if (answer === 404) lost++
  })
  await eventually(
    'core answers well',
    async () => (await fetch(`${project}/config_maps/n-${n}`, { headers: { authorization: `Bearer ${token}` } })).status === 200,
    20_000,
  )
  back.push(performance.now() - killed)
}
running = false
await load
agent.destroy()
const slowest = Math.max(...back)
report('core-killed', [
  { what: `core killed ${times} times, ${made} requests of an app at 300/s: failed`, value: String(failed), reach: '0', met: failed === 0 },
  { what: 'acknowledged writes that were lost', value: String(lost), reach: '0', met: lost === 0 },
  { what: 'an API answers again after, at the slowest', value: ms(slowest), reach: '<= 2000 ms', met: slowest <= 2_000 },
])
