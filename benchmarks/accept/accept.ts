// Notifications accepted durably, 64 clients, beside a bare loop that commits in groups in the same run.
import { Agent, createServer, request } from 'node:http'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { freshHome, startPlatform } from '@everleaf/tests/support/platform'
import { option, report } from '../lib.ts'

const CLIENTS = 64
const seconds = option('seconds', 10)

async function load(url: string, headers: Record<string, string>, body: (n: number) => string): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS })
  const until = performance.now() + seconds * 1_000
  let done = 0
  const post = () =>
    new Promise<void>((resolve, reject) => {
      const text = body(done)
      const outgoing = request(
        url,
        { method: 'POST', agent, headers: { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) } },
        (response) => {
          response.resume().once('end', () => {
            if (response.statusCode !== 202) return reject(new Error(`answered ${response.statusCode}`))
            done++
            resolve()
          })
        },
      )
      outgoing.once('error', reject).end(text)
    })
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      while (performance.now() < until) await post()
    }),
  )
  agent.destroy()
  return done / seconds
}

using place = freshHome()
await using platform = await startPlatform(place)
const { env, api } = platform
const instance = `${env.EVENT_NOTIFICATIONS_URL}/v1/instances/${env.EVENT_NOTIFICATIONS_GUID}`
const source = (await api('POST', `${instance}/sources`, { name: 'bench', description: 'bench' })).body.id as string
const topic = await api('POST', `${instance}/topics`, { name: 'bench', sources: [{ id: source, rules: [{ event_type_filter: "$.type == 'never'" }] }] })
if (topic.status !== 201) throw new Error(topic.text)
const authorization = `Bearer ${await platform.token()}`
const event = (n: number) =>
  JSON.stringify({
    specversion: '1.0',
    id: `e${process.pid}-${n}-${performance.now()}`,
    source: 'bench',
    type: 'bench.event',
    ibmensourceid: source,
    ibmendefaultshort: 's',
    ibmendefaultlong: 'l',
    data: { n },
  })
const ours = await load(`${instance}/notifications`, { authorization }, event)

// The floor: node:http and node:sqlite, every request one row, one commit for all that arrived together.
const db = new DatabaseSync(join(place.home, 'floor.db'))
db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE events (id TEXT PRIMARY KEY, body TEXT)')
const insert = db.prepare('INSERT INTO events VALUES (?, ?)')
let waiting: { body: string; reply: () => void }[] = []
let count = 0
const floor = createServer((incoming, reply) => {
  let body = ''
  incoming.on('data', (chunk) => {
    body += chunk
  })
  incoming.once('end', () => {
    waiting.push({ body, reply: () => reply.writeHead(202).end('{}') })
    if (waiting.length > 1) return
    setImmediate(() => {
      const batch = waiting
      waiting = []
      db.exec('BEGIN')
      for (const one of batch) insert.run(String(count++), one.body)
      db.exec('COMMIT')
      for (const one of batch) one.reply()
    })
  })
}).listen(0, '127.0.0.1')
await new Promise((up) => floor.once('listening', up))
const bare = await load(`http://127.0.0.1:${(floor.address() as { port: number }).port}/`, {}, event)
floor.close()
floor.closeAllConnections()
db.close()
report('accept', [
  {
    what: `notifications accepted durably, ${CLIENTS} clients (bare loop: ${bare.toFixed(0)}/s)`,
    value: `${ours.toFixed(0)}/s = ${(ours / bare).toFixed(2)} x`,
    reach: '>= 0.3 x',
    met: ours / bare >= 0.3,
  },
])
