import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { deploy, webApp } from '../support/pipeline.ts'
import { eventually, freshHome, type Running, startPlatform } from '../support/platform.ts'
import { ask, dial, talk } from './wire.ts'

/** Tells every request that it has seen, with its headers as they came. */
const ECHO = webApp(`
  const seen = (globalThis.seen ??= []);
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    if (request.url === '/seen') return response.end(JSON.stringify(seen));
    seen.push(request.method + ' ' + request.url + ' ' + Buffer.concat(chunks).toString('latin1'));
    response.end(JSON.stringify({ url: request.url, headers: request.rawHeaders, instance: process.env.CE_APP }));
  });
`)

const home = freshHome()
let platform: Running
let names: Readonly<Record<'open' | 'inner' | 'api' | 'other', string>>
before(async () => {
  platform = await startPlatform(home)
  const single = { scale_max_instances: 1, scale_min_instances: 1 }
  const open = await deploy(platform, 'open', ECHO, single)
  const inner = await deploy(platform, 'inner', ECHO, { ...single, managed_domain_mappings: 'local_private' })
  names = { open: new URL(open).hostname, inner: new URL(inner).hostname, api: 'iam.everleaf.localhost', other: 'elsewhere.example.com' }
})
after(async () => {
  await platform.stop()
  home[Symbol.dispose]()
})

const START = (host: string) => `POST / HTTP/1.1\r\nHost: ${host}\r\n`
/** Heads and bodies that leave a doubt about where a request ends or whom it is for. Each is followed by a request that must not be believed. */
const DOUBTFUL: Readonly<Record<string, (host: string) => string>> = {
  'both lengths': (host) => `${START(host)}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'both lengths, chunked first': (host) => `${START(host)}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`,
  'two lengths': (host) => `${START(host)}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc`,
  'two equal lengths': (host) => `${START(host)}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
  'a list of lengths': (host) => `${START(host)}Content-Length: 3, 3\r\n\r\nabc`,
  'a signed length': (host) => `${START(host)}Content-Length: +3\r\n\r\nabc`,
  'a negative length': (host) => `${START(host)}Content-Length: -3\r\n\r\nabc`,
  'a hexadecimal length': (host) => `${START(host)}Content-Length: 0x3\r\n\r\nabc`,
  'an empty length': (host) => `${START(host)}Content-Length:\r\n\r\nabc`,
  'gzip, chunked': (host) => `${START(host)}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  'chunked twice': (host) => `${START(host)}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`,
  'chunked in two headers': (host) => `${START(host)}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  identity: (host) => `${START(host)}Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n`,
  xchunked: (host) => `${START(host)}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  'a vertical tab before chunked': (host) => `${START(host)}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
  'a space before the colon': (host) => `${START(host)}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
  'a folded header': (host) => `${START(host)}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`,
  'a misspelt Transfer_Encoding': (host) => `${START(host)}Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a misspelt Content_Length': (host) => `${START(host)}Content_Length: 3\r\n\r\nabc`,
  'a bare CR': (host) => `${START(host)}X-A: 1\rX-B: 2\r\n\r\n`,
  'bare LFs': (host) => `GET / HTTP/1.1\nHost: ${host}\n\n`,
  'a NUL in a value': (host) => `${START(host)}X-A: a\0b\r\n\r\n`,
  'no Host': () => 'GET / HTTP/1.1\r\n\r\n',
  'two Hosts': (host) => `GET / HTTP/1.1\r\nHost: ${host}\r\nHost: ${host}\r\n\r\n`,
  'a list of Hosts': (host) => `GET / HTTP/1.1\r\nHost: ${host}, ${host}\r\n\r\n`,
  'a Host with a user': (host) => `GET / HTTP/1.1\r\nHost: a@${host}\r\n\r\n`,
  'an absolute target of another host': (host) => `GET http://evil.example.com/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  'Connection names the length': (host) => `${START(host)}Connection: content-length\r\nContent-Length: 3\r\n\r\nabc`,
  'Connection names Host': (host) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: host\r\n\r\n`,
  'a chunk size that is none': (host) => `${START(host)}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n`,
  'a chunk size that overflows': (host) => `${START(host)}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n`,
  'a chunk longer than it says': (host) => `${START(host)}Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n`,
  'HTTP/1.0 with chunks': (host) => `POST / HTTP/1.0\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'HTTP/0.9': () => 'GET /\r\n',
  'HTTP/2.0': (host) => `GET / HTTP/2.0\r\nHost: ${host}\r\n\r\n`,
  'the HTTP/2 preface': () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  CONNECT: (host) => `CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  TRACE: (host) => `TRACE / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  'a WebSocket': (host) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n`,
  'an asterisk': (host) => `OPTIONS * HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
}

const seen = async () => (await ask(platform.ports.public, { sni: names.open, host: names.open, target: '/seen' })).text

const DOORS: readonly (readonly [string, () => { port: number; sni?: string; host: string }])[] = [
  ['an app on the public listener', () => ({ port: platform.ports.public, sni: names.open, host: names.open })],
  ['an app on the private listener', () => ({ port: platform.ports.private, sni: names.inner, host: names.inner })],
  ['an API on the public listener', () => ({ port: platform.ports.public, sni: names.api, host: names.api })],
  ['the plain API listener', () => ({ port: platform.ports.api, host: `127.0.0.1:${platform.ports.api}` })],
  ['the front', () => ({ port: platform.ports.front, host: names.open })],
]
for (const [door, place] of DOORS) {
  test(`${door}: whatever leaves a doubt is refused once, and nothing after it is believed`, { timeout: 120_000 }, async () => {
    const { port, sni, host } = place()
    const wrong: string[] = []
    await Promise.all(
      Object.entries(DOUBTFUL).map(async ([what, bytes]) => {
        const heard = await talk(dial(port, { sni }), Buffer.from(`${bytes(host)}GET /hidden HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'latin1'))
        // A chunked body that breaks in its middle had begun well: what had come of an answer may be cut, or be the only one.
        const isRefused = heard.statuses.length <= 1 && heard.statuses.every((status) => status >= 400 || what.startsWith('a chunk'))
        if (!isRefused || !heard.isClosed) wrong.push(`${what}: ${heard.statuses.join(' ')} ${heard.isClosed ? 'closed' : 'open'}`)
      }),
    )
    assert.deepEqual(wrong, [])
    assert.ok(!(await seen()).includes('/hidden'))
  })
}

test('an app sees each good request exactly once, also when they come in one packet', async () => {
  const host = names.open
  const one = (n: number) => `POST /once-${n} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 2\r\n\r\nok`
  const { statuses } = await talk(dial(platform.ports.public, { sni: host }), one(1) + one(2) + one(3))
  assert.deepEqual(statuses, [200, 200, 200])
  for (const n of [1, 2, 3]) assert.equal((await seen()).split(`POST /once-${n} ok`).length, 2)
})

test('forwarding headers of the caller never arrive, however they are spelt', async () => {
  const spoofed = ['X-Forwarded-For', 'x-forwarded-for', 'X_Forwarded_For', 'X-FORWARDED-HOST', 'X-Forwarded-Proto', 'Forwarded', 'X-Real-IP', 'x_real_ip']
  const headers = [...spoofed, 'X-Everleaf-Account', 'Everleaf-Identity', 'Proxy-Authorization', 'X-Forwarded-Prefix'].map((name) => `${name}: spoofed`)
  const { status, text } = await ask(platform.ports.public, { sni: names.open, host: names.open, headers })
  assert.equal(status, 200, text)
  assert.ok(!text.slice(text.indexOf('\r\n\r\n')).includes('spoofed'), text)
  assert.match(text, /"X-Forwarded-For","127\.0\.0\.1"/)
})

test('headers that Connection names, and hop-by-hop ones, end here', async () => {
  const headers = ['X-Secret: hop', 'TE: trailers', 'Keep-Alive: timeout=5', 'Trailer: X-T', 'Proxy-Connection: keep-alive']
  const bytes = `GET / HTTP/1.1\r\nHost: ${names.open}\r\nConnection: close, x-secret\r\n${headers.join('\r\n')}\r\n\r\n`
  const { text } = await talk(dial(platform.ports.public, { sni: names.open }), bytes)
  assert.match(text, /^HTTP\/1\.1 200/)
  for (const name of ['X-Secret', 'TE', 'Keep-Alive', 'Trailer', 'Proxy-Connection']) assert.ok(!text.includes(`"${name}"`), text)
})

test('a path to the APIs with a trick in it is refused; the same path without it is answered', async () => {
  const good = await fetch(`http://127.0.0.1:${platform.ports.api}/iam/identity/keys`)
  assert.equal(good.status, 200)
  const tricks = ['/iam/./identity/keys', '/iam/../iam/identity/keys', '/iam/%2e%2e/iam/identity/keys', '/iam//identity/keys', '/iam\\identity\\keys']
  const more = ['/iam/identity%2fkeys', '/iam/identity/%256b', '/iam/identity/keys%00', '/iam/identity/%c0%ae', '/iam/identity/%', '//iam/identity/keys']
  for (const target of [...tricks, ...more, '/iam/identity/%0d%0akeys', '/\u00e9am/identity/keys']) {
    const { status, text } = await ask(platform.ports.api, { host: `127.0.0.1:${platform.ports.api}`, target })
    assert.ok(status === 400 || status === 404, `${target}: ${text.slice(0, 200)}`)
    assert.ok(!text.includes('"kid"'), target)
  }
})

const LIMITS: readonly (readonly [string, (host: string, over: boolean) => { target?: string; headers: string[] }, number])[] = [
  // Connection and Host are headers too.
  ['100 headers', (_host, over) => ({ headers: Array.from({ length: over ? 99 : 98 }, (_one, n) => `X-${n}: 1`) }), 431],
  ['a URL of 8 KiB', (_host, over) => ({ target: `/${'u'.repeat(8 * 1024 - (over ? 0 : 1))}`, headers: [] }), 414],
  // An app's own server may take less: Node's takes 16 KiB with what the gateway adds.
  ['16 KiB of headers', (_host, over) => ({ headers: [`X-Long: ${'h'.repeat(16 * 1024 - (over ? 0 : 256))}`] }), 431],
]
for (const [limit, make, status] of LIMITS) {
  test(`${limit} are taken, one more is refused with ${status}`, async () => {
    for (const [port, sni, host] of [
      [platform.ports.public, names.open, names.open],
      [platform.ports.api, undefined, `127.0.0.1:${platform.ports.api}`],
    ] as const) {
      const at = await ask(port, { ...(sni === undefined ? {} : { sni }), host, ...make(host, false) })
      assert.ok([200, 404].includes(at.status), `${host}: ${at.text.slice(0, 200)}`)
      assert.equal((await ask(port, { ...(sni === undefined ? {} : { sni }), host, ...make(host, true) })).status, status, host)
    }
  })
}

test('an API takes 16 KiB of path, names and values to the last byte', async () => {
  const host = `127.0.0.1:${platform.ports.api}`
  const target = '/iam/identity/keys'
  const room = 16 * 1024 - `${target}Host${host}ConnectioncloseX-Long`.length
  for (const [length, status] of [
    [room, 200],
    [room + 1, 431],
  ] as const)
    assert.equal((await ask(platform.ports.api, { host, target, headers: [`X-Long: ${'h'.repeat(length)}`] })).status, status)
})

test('the name of the handshake and the Host belong together; private apps answer on the private listener only', async () => {
  const { ports } = platform
  const wrong: string[] = []
  for (const door of ['public', 'private'] as const)
    for (const sni of [...Object.values(names), ''])
      for (const host of Object.values(names)) {
        const { status, text } = await ask(ports[door], { sni, host, target: host === names.api ? '/identity/keys' : '/' })
        const isServed = host !== names.other && (door === 'private' || host !== names.inner)
        const expected = sni !== host ? [421] : isServed ? [200] : host === names.inner ? [404, 421] : [421]
        if (!expected.includes(status)) wrong.push(`${door}: SNI ${sni || 'none'}, Host ${host}: ${status} ${text.slice(0, 60)}`)
      }
  assert.deepEqual(wrong, [])
})

test('a private app is not reached from the public listener by any header', async () => {
  for (const headers of [`X-Forwarded-Host: ${names.inner}`, `X-Original-Host: ${names.inner}`, `X-Host: ${names.inner}`, `Forwarded: host=${names.inner}`]) {
    const { text } = await ask(platform.ports.public, { sni: names.open, host: names.open, headers: [headers] })
    assert.match(text, /"instance":"open"/)
  }
  const upper = await ask(platform.ports.public, { sni: names.inner.toUpperCase(), host: `${names.inner.toUpperCase()}.` })
  assert.ok([400, 404, 421].includes(upper.status), upper.text)
})

test('the plain listener answers to its own names only: a web page cannot rebind a name to it', async () => {
  const { api } = platform.ports
  for (const host of ['evil.example.com', `evil.example.com:${api}`, `127.0.0.1.evil.example.com:${api}`, `127.0.0.1:${api + 1}`, '127.0.0.2'])
    assert.equal((await ask(api, { host, target: '/iam/identity/keys' })).status, 421, host)
  const { status, text } = await ask(api, { host: `localhost:${api}`, target: '/iam/identity/keys', headers: ['Origin: https://evil.example.com'] })
  assert.equal(status, 200)
  assert.ok(!/access-control-allow/i.test(text), 'no CORS')
})

test('a client that takes all it may is held to its share, and others are served', { timeout: 60_000 }, async () => {
  const greedy = Array.from({ length: 300 }, () => dial(platform.ports.api, { from: '127.0.0.9' }).on('error', () => {}))
  await eventually('the greedy client is held', () => greedy.filter((socket) => socket.destroyed).length >= 44, 10_000)
  assert.ok(greedy.filter((socket) => !socket.destroyed).length <= 256)
  assert.equal((await ask(platform.ports.api, { host: `127.0.0.1:${platform.ports.api}`, target: '/iam/identity/keys' })).status, 200)
  for (const socket of greedy) socket.destroy()
})

test('a client that never finishes its head is shown out, while others are served', { timeout: 60_000 }, async () => {
  const slow = [platform.ports.api, platform.ports.front].map((port) => dial(port))
  slow.push(dial(platform.ports.public, { sni: names.open }))
  const startedAt = performance.now()
  const ended = slow.map(
    (socket) =>
      new Promise<number>((resolve) => {
        socket.resume().on('error', () => {})
        socket.on('close', () => resolve(performance.now() - startedAt))
        socket.write('GET / HTTP/1.1\r\nHost: x\r\n')
        const drip = setInterval(() => socket.destroyed || socket.write('X: 1\r\n'), 500)
        socket.on('close', () => clearInterval(drip))
      }),
  )
  assert.equal((await ask(platform.ports.public, { sni: names.open, host: names.open })).status, 200)
  for (const ms of await Promise.all(ended)) assert.ok(ms > 5_000 && ms < 30_000, `${ms} ms`)
})
