import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask, certificates, LOOPBACK, type Rig, startRig, talk, tcpTo, valuesOf } from './rig.ts'

let rig: Rig
before(async () => {
  rig = await startRig()
})
after(() => rig[Symbol.asyncDispose]())

const HELLO = 'hello.proj.everleaf.localhost'
const SECRET = 'secret.proj.everleaf.localhost'
const IAM = 'iam.everleaf.localhost'
const INSIDE = 'hello.proj.svc.cluster.local'

// listener, SNI, Host, status, certificate shown
const MATRIX = [
  ['public', HELLO, HELLO, 200, 'apps'],
  ['public', HELLO.toUpperCase(), HELLO, 200, 'apps'],
  ['public', HELLO, `${HELLO}:8443`, 200, 'apps'],
  ['public', HELLO, 'shop.example', 421, 'apps'],
  ['public', HELLO, SECRET, 421, 'apps'],
  ['public', 'shop.example', HELLO, 421, 'shop'],
  ['public', 'shop.example', 'shop.example.', 400, 'shop'],
  ['public', SECRET, SECRET, 404, 'platform'],
  ['public', 'nobody.proj.everleaf.localhost', 'nobody.proj.everleaf.localhost', 404, 'platform'],
  ['public', HELLO, 'nobody.proj.everleaf.localhost', 421, 'apps'],
  ['public', 'nobody.proj.everleaf.localhost', HELLO, 421, 'platform'],
  ['public', 'unknown.example', 'unknown.example', 421, 'platform'],
  ['public', 'unknown.example', 'shop.example', 421, 'platform'],
  ['public', undefined, 'shop.example', 421, 'platform'],
  ['public', undefined, LOOPBACK, 421, 'platform'],
  ['public', 'private.everleaf.localhost', 'private.everleaf.localhost', 421, 'platform'],
  ['public', IAM, IAM, 200, 'platform'],
  ['public', 'a.wild.example', 'a.wild.example', 200, 'shop'],
  ['public', 'a.wild.example', 'b.wild.example', 200, 'shop'],
  ['public', 'a.b.wild.example', 'a.b.wild.example', 421, 'platform'],
  ['public', 'wild.example', 'wild.example', 421, 'platform'],
  ['private', HELLO, HELLO, 200, 'apps'],
  ['private', SECRET, SECRET, 200, 'apps'],
  ['private', 'private.everleaf.localhost', 'private.everleaf.localhost', 200, 'platform'],
  ['private', 'shop.example', 'shop.example', 421, 'platform'],
  ['private', SECRET, HELLO, 421, 'apps'],
  ['public', INSIDE, INSIDE, 421, 'platform'],
  ['private', INSIDE, INSIDE, 421, 'platform'],
] as const

for (const [listener, sni, host, status, certificate] of MATRIX) {
  test(`${listener} listener, SNI ${sni ?? '(none)'}, Host ${host}: ${status} with the certificate ${certificate}`, async () => {
    const port = listener === 'public' ? rig.at.public?.port : rig.at.private[0]?.port
    const before = rig.seen.length + rig.seenByCore.length
    const reply = await ask(port ?? 0, sni, { host })
    assert.equal(reply.status, status)
    assert.equal(reply.fingerprint, certificates[certificate].fingerprint)
    assert.equal(rig.seen.length + rig.seenByCore.length - before, status === 200 ? 1 : 0)
  })
}

for (const [path, status] of [
  ['/events', 200],
  ['/events/v1', 200],
  ['/events?x=/iam', 200],
  ['/iam/v1', 404],
  ['/eventsx/v1', 404],
  ['/%65vents/v1', 404],
  ['/events/../iam/v1', 400],
  ['/events/%2e%2e/iam/v1', 400],
  ['/', 404],
] as const)
  test(`a name whose API has its own path answers ${status} to ${path}, and reaches no other API`, async () => {
    const before = rig.seenByCore.length
    assert.equal((await ask(rig.at.public?.port ?? 0, 'events.everleaf.localhost', { path })).status, status)
    assert.equal(rig.seenByCore.length - before, status === 200 ? 1 : 0)
  })

test('a missing app is answered in the form of Code Engine', async () => {
  const reply = await ask(rig.at.public?.port ?? 0, 'nobody.proj.everleaf.localhost')
  const body = JSON.parse(reply.body)
  assert.equal(body.status_code, 404)
  assert.equal(body.errors[0].code, 'resource_not_found')
  assert.match(body.trace, /^codeengine-api-[0-9a-f]{32}$/)
})

test('headers do not open a private app to the public listener', async () => {
  const headers = ['X-Forwarded-Host: secret.proj.everleaf.localhost', 'X-Everleaf-Listener: private', 'Forwarded: host=secret.proj.everleaf.localhost']
  const reply = await ask(rig.at.public?.port ?? 0, SECRET, { headers })
  assert.equal(reply.status, 404)
})

test('the handshake alone tells the engine that a request will follow', async () => {
  rig.warmed.length = 0
  await ask(rig.at.public?.port ?? 0, 'shop.example')
  assert.deepEqual(rig.warmed, ['shop'])
})

test('an API name is sent to core below its prefix', async () => {
  await ask(rig.at.public?.port ?? 0, IAM, { path: '/identity/token?x=1', method: 'POST', body: 'a=b' })
  const last = rig.seenByCore.at(-1)
  assert.equal(last?.url, '/iam/identity/token?x=1')
  assert.equal(last?.body, 'a=b')
  assert.deepEqual(valuesOf(last?.headers ?? [], 'x-forwarded-proto'), ['https'])
})

const PATHS = [
  ['/v1/a/../b', 400],
  ['/v1/%2e%2E/b', 400],
  ['/v1/.', 400],
  ['/v1//b', 400],
  ['/v1/a%2fb', 400],
  ['/v1/a%5cb', 400],
  ['/v1/a\\b', 400],
  ['/v1/a%00', 400],
  ['/v1/%252e', 400],
  ['/v1/%c0%ae', 400],
  ['/v1/%zz', 400],
  ['/v1/caf\xe9', 400],
  ['/v1/crn%3Av1%3Abluemix%3Apublic%3Aiam%3A%3Aa%2Facc%3A%3A%3A', 200],
  ['/v1/crn%3Av1%3Aa%2F..%2Fb', 400],
  ['/v1/.well-known', 200],
  ['/v1/name%20x/', 200],
  ['/v1?next=/../%2f', 200],
] as const
for (const [path, status] of PATHS) {
  test(`an API path ${JSON.stringify(path)} gets ${status}`, async () => {
    assert.equal((await ask(rig.at.public?.port ?? 0, IAM, { path })).status, status)
  })
}

test('an app gets its path as it was sent', async () => {
  await ask(rig.at.public?.port ?? 0, HELLO, { path: '/a/../b//%2F\\b?x=%00' })
  assert.equal(rig.seen.at(-1)?.url, '/a/../b//%2F\\b?x=%00')
})

test('the front listener sends everybody to https', async () => {
  const port = rig.at.front?.port ?? 0
  const reply = await ask(port, undefined, { plain: true, host: 'shop.example:8080', path: '/cart?x=1' })
  assert.equal(reply.status, 308)
  assert.match(reply.head, new RegExp(`Location: https://shop.example:${rig.at.public?.port}/cart\\?x=1\r\n`))
  assert.equal((await ask(port, undefined, { plain: true, host: 'shop.example', path: '/.well-known/acme-challenge/x' })).status, 404)
})

test('the project listener answers to names of its own alone, in plain HTTP, and only whom it may', async () => {
  const asked: string[] = []
  await using own = await startRig({
    mayReach: async (socket, workload) => {
      asked.push(workload)
      return socket.remoteAddress === LOOPBACK
    },
  })
  const port = own.at.project?.port ?? 0
  const status = async (host: string) => (await ask(port, undefined, { plain: true, host })).status
  assert.equal(await status(INSIDE), 200)
  assert.equal(await status(`${INSIDE}:80`), 200)
  assert.deepEqual(valuesOf(own.seen.at(-1)?.headers ?? [], 'x-forwarded-proto'), ['http'])
  for (const host of [HELLO, SECRET, IAM, 'shop.example', 'nobody.proj.svc.cluster.local', '127.0.0.1', `localhost:${port}`])
    assert.equal(await status(host), 404, host)
  assert.deepEqual([own.seen.length, own.seenByCore.length, asked], [2, 0, ['hello', 'hello']])
  const stranger = await tcpTo(port, '127.0.0.9')
  assert.match(await talk(stranger, `GET / HTTP/1.1\r\nHost: ${INSIDE}\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 404 /)
  const closed = await ask(rig.at.project?.port ?? 0, undefined, { plain: true, host: INSIDE })
  assert.deepEqual([own.seen.length, closed.status, rig.seen.some(({ headers }) => headers.includes(INSIDE))], [2, 404, false])
})

test('the plain listener answers by path to local and API names, and to nobody else', async () => {
  const port = rig.at.plain?.port ?? 0
  const status = async (host: string) => (await ask(port, undefined, { plain: true, host, path: '/iam/identity/keys' })).status
  assert.equal(await status(`127.0.0.1:${port}`), 200)
  assert.equal(rig.seenByCore.at(-1)?.url, '/iam/identity/keys')
  assert.equal(await status(`localhost:${port}`), 200)
  assert.equal(await status(`[::1]:${port}`), 200)
  assert.equal(await status(`${IAM}:${port}`), 200)
  assert.equal(await status(`evil.example:${port}`), 421)
  assert.equal(await status(`${HELLO}:${port}`), 421)
  assert.equal(await status('127.0.0.1:1'), 421)
  assert.equal(await status(`127.0.0.1.nip.io:${port}`), 421)
})

test('the plain listener lets keys of objects through as bytes', async () => {
  const port = rig.at.plain?.port ?? 0
  await ask(port, undefined, { plain: true, host: `localhost:${port}`, path: '/cos/bucket/a//b%2Fc/%2e' })
  assert.equal(rig.seenByCore.at(-1)?.url, '/cos/bucket/a//b%2Fc/%2e')
})
