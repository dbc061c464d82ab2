import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import { after, before, test } from 'node:test'
import { deploy, webApp } from '../support/pipeline.ts'
import { eventually, freshHome, type Running, startPlatform } from '../support/platform.ts'

const home = freshHome()
let platform: Running
let instance: string
let source: string
let hook: string
/** A service inside that must never be called: it counts who comes. */
let inside: { server: Server; port: number; calls: number }

before(async () => {
  platform = await startPlatform(home)
  instance = `${platform.env.EVENT_NOTIFICATIONS_URL}/v1/instances/${platform.env.EVENT_NOTIFICATIONS_GUID}`
  const server = createServer((socket) => {
    inside.calls++
    socket.on('error', () => {}).end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  })
  await new Promise<void>((resolve) => server.listen(0, '::', resolve).once('error', () => server.listen(0, '127.0.0.1', resolve)))
  inside = { server, port: (server.address() as { port: number }).port, calls: 0 }
  const { body } = await platform.api('POST', `${instance}/sources`, { name: 'src', description: 'x', enabled: true })
  source = String(body.id)
  hook = await deploy(
    platform,
    'hook',
    webApp(`
      if (request.url === '/seen') return response.end(String(globalThis.seen ?? 0));
      globalThis.seen = (globalThis.seen ?? 0) + 1;
      if (request.url.startsWith('/to/')) return response.writeHead(307, { location: decodeURIComponent(request.url.slice(4)) }).end();
      if (request.url === '/endless') return setInterval(() => response.write('x'.repeat(16384)), 1);
      if (request.url === '/bomb') {
        response.writeHead(200, { 'content-encoding': 'gzip' });
        return response.end(require('zlib').gzipSync(Buffer.alloc(64 * 1024 * 1024)));
      }
      if (request.url === '/headers') {
        for (let n = 0; n < 500; n++) response.setHeader('x-' + n, 'y'.repeat(100));
        return response.end();
      }
      response.end('ok');
    `),
    { scale_max_instances: 1, scale_min_instances: 1 },
  )
})
after(async () => {
  inside.server.close()
  await platform.stop()
  home[Symbol.dispose]()
})

const params = (url: string) => ({ type: 'application', url, verb: 'post', everleaf_delivery_profile: 'ibm' })
async function destination(url: string): Promise<{ status: number; id: string }> {
  const { status, body } = await platform.api('POST', `${instance}/destinations`, { name: `d${Math.random()}`, type: 'ibmce', config: { params: params(url) } })
  return { status, id: String(body.id) }
}
/** What a test of the destination says: `refused` when it cannot even be stored. */
async function outcome(url: string): Promise<string> {
  const { status, id } = await destination(url)
  if (status === 400) return 'refused'
  assert.equal(status, 201)
  const { body, text } = await platform.api('POST', `${instance}/destinations/${id}/test`, {})
  return String(body.status ?? text)
}

test('an app of the platform is called', async () => assert.equal(await outcome(hook), 'success'))

const PLACES: Readonly<Record<string, (port: number) => string>> = {
  loopback: (port) => `https://127.0.0.1:${port}/`,
  'loopback, other spellings': (port) => `https://0177.0.0.1:${port}/`,
  'loopback as one number': (port) => `https://2130706433:${port}/`,
  'loopback in hexadecimal': (port) => `https://0x7f.1:${port}/`,
  'loopback in full-width digits': (port) => `https://１２７.０.０.１:${port}/`,
  'another loopback': (port) => `https://127.83.1.1:${port}/`,
  'any address': (port) => `https://0.0.0.0:${port}/`,
  'loopback of IPv6': (port) => `https://[::1]:${port}/`,
  'loopback mapped': (port) => `https://[::ffff:127.0.0.1]:${port}/`,
  'loopback compatible': (port) => `https://[::127.0.0.1]:${port}/`,
  'loopback through NAT64': (port) => `https://[64:ff9b::7f00:1]:${port}/`,
  'loopback through 6to4': (port) => `https://[2002:7f00:1::]:${port}/`,
  'any address of IPv6': (port) => `https://[::]:${port}/`,
  localhost: (port) => `https://localhost:${port}/`,
  'localhost with a dot': (port) => `https://localhost.:${port}/`,
  'plain HTTP': (port) => `http://127.0.0.1:${port}/`,
  'a user in the URL': (port) => `https://hook@127.0.0.1:${port}/`,
  metadata: () => 'https://169.254.169.254/latest/meta-data/',
  'metadata of IPv6': () => 'https://[fd00:ec2::254]/',
  'link-local': () => 'https://[fe80::1]/',
  private: () => 'https://10.0.0.1/',
  'a file': () => 'file:///etc/passwd',
  gopher: (port) => `gopher://127.0.0.1:${port}/`,
  'a Unix socket': () => 'unix:/run/core.sock',
  nothing: () => '',
  'no URL': () => 'not a url',
}
for (const [what, url] of Object.entries(PLACES)) {
  test(`nothing inside is called by a destination's URL: ${what}`, { timeout: 30_000 }, async () => {
    assert.notEqual(await outcome(url(inside.port)), 'success')
    assert.equal(inside.calls, 0)
  })
}

test("the platform's own services are called by no destination, by none of their names", { timeout: 120_000 }, async () => {
  const { ports, env } = platform
  const guid = env.SECRETS_MANAGER_URL?.split('/').at(-1)
  const names = ['iam', 'resource-controller', 'event-notifications', 'codeengine', `${guid}.secrets-manager`].map((name) => `${name}.everleaf.localhost`)
  const ibm = ['iam.cloud.ibm.com', 'private.iam.cloud.ibm.com', 'api.eu-de.codeengine.cloud.ibm.com', `${guid}.eu-de.secrets-manager.appdomain.cloud`]
  const wrong: string[] = []
  for (const name of [...names, ...ibm, 'IAM.everleaf.localhost', 'iam.everleaf.localhost.'])
    for (const port of ['', `:${ports.public}`, `:${ports.private}`, `:${ports.api}`]) {
      // The public key list answers everybody with 200: a call that arrives shows.
      const path = name.toLowerCase().includes('iam') ? '/identity/token' : '/'
      if ((await outcome(`https://${name}${port}${path}`)) === 'success') wrong.push(`${name}${port}`)
    }
  assert.deepEqual(wrong, [])
  const { body } = await platform.api('GET', `${instance}/everleaf/deliveries`)
  assert.ok(!JSON.stringify(body).includes('"delivered"'))
})

test('the reason that a refused call is recorded with names the kind of place, not what answered there', { timeout: 60_000 }, async () => {
  const { id } = await destination('https://iam.everleaf.localhost/identity/keys')
  const { body: topic } = await platform.api('POST', `${instance}/topics`, {
    name: 't',
    sources: [{ id: source, rules: [{ enabled: true, event_type_filter: '$.*' }] }],
  })
  const made = await platform.api('POST', `${instance}/subscriptions`, { name: 's', topic_id: topic.id, destination_id: id })
  assert.equal(made.status, 201, made.text)
  const event = { specversion: '1.0', id: 'e', source: 'me', type: 'thing', ibmensourceid: source, ibmendefaultshort: 's', ibmendefaultlong: 'l', data: {} }
  assert.equal((await platform.api('POST', `${instance}/notifications`, event)).status, 202)
  const delivery = await eventually('a first try', async () => {
    const { body } = await platform.api('GET', `${instance}/everleaf/deliveries`)
    const [one] = (body.deliveries ?? []) as { attempts: number; error: string; status: number | null }[]
    return one !== undefined && one.attempts > 0 && one
  })
  assert.equal(delivery.status, null)
  assert.match(delivery.error, /is an API, which destinations may not call/)
})

test('a redirect is not followed', async () => {
  assert.equal(await outcome(`${hook}/to/${encodeURIComponent(`http://127.0.0.1:${inside.port}/`)}`), 'failed')
  assert.equal(await outcome(`${hook}/to/${encodeURIComponent('/seen')}`), 'failed')
  assert.equal(inside.calls, 0)
})

test('a receiver cannot make us read for ever, unpack a bomb or keep hundreds of headers', { timeout: 90_000 }, async () => {
  const memory = () => Number(/VmRSS:\s+(\d+)/.exec(fsRead(`/proc/${platform.corePid()}/status`))?.[1] ?? 0)
  const before = memory()
  const startedAt = performance.now()
  await Promise.all(['/endless', '/bomb', '/headers'].map((path) => outcome(hook + path)))
  assert.ok(performance.now() - startedAt < 60_000)
  if (before > 0) assert.ok(memory() - before < 60_000, `${memory() - before} KiB more`)
  assert.equal(await outcome(hook), 'success')
})

function fsRead(path: string): string {
  try {
    return process.getBuiltinModule('node:fs').readFileSync(path, 'utf8')
  } catch {
    // No /proc here.
    return ''
  }
}
