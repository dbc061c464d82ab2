import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask, type Rig, startRig, talk, tlsTo, valuesOf } from './rig.ts'

let rig: Rig
before(async () => {
  rig = await startRig({ limits: { keepAliveMs: 300, headersTimeoutMs: 400 } })
})
after(() => rig[Symbol.asyncDispose]())

const HOST = 'shop.example'
const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: shop.example\r\n\r\n'
const START = 'POST / HTTP/1.1\r\nHost: shop.example\r\n'

async function raw(bytes: string): Promise<{ text: string; seen: typeof rig.seen }> {
  const from = rig.seen.length
  const text = await talk(await tlsTo(rig.at.public?.port ?? 0, HOST), bytes)
  // What was sent on late would have arrived before this one.
  await ask(rig.at.public?.port ?? 0, HOST, { path: '/afterwards' })
  return { text, seen: rig.seen.slice(from).filter((one) => one.url !== '/afterwards') }
}

// Each is followed by a request that must not be believed: the connection is closed.
const REFUSED = {
  'both lengths': `${START}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'both lengths, the other way round': `${START}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`,
  'two lengths': `${START}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc`,
  'two equal lengths': `${START}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
  'a list of lengths': `${START}Content-Length: 3, 3\r\n\r\nabc`,
  'a signed length': `${START}Content-Length: +3\r\n\r\nabc`,
  'a negative length': `${START}Content-Length: -3\r\n\r\nabc`,
  'a hexadecimal length': `${START}Content-Length: 0x3\r\n\r\nabc`,
  'a huge length': `${START}Content-Length: 99999999999999999999\r\n\r\nabc`,
  'an empty length': `${START}Content-Length:\r\n\r\nabc`,
  'gzip, chunked': `${START}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  'chunked twice': `${START}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`,
  'chunked in two headers': `${START}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'chunked and identity': `${START}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`,
  identity: `${START}Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n`,
  xchunked: `${START}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  'chunked with a vertical tab': `${START}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
  'a space before the colon': `${START}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
  'a folded header': `${START}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`,
  'a folded value': `${START}X-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n`,
  'a misspelt Transfer_Encoding': `${START}Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a misspelt Content_Length': `${START}Content_Length: 3\r\n\r\nabc`,
  'a bare CR': `${START}X-A: 1\rX-B: 2\r\n\r\n`,
  'bare LFs': 'GET / HTTP/1.1\nHost: shop.example\n\n',
  'a NUL in a value': `${START}X-A: a\0b\r\n\r\n`,
  'a control character in a value': `${START}X-A: a\x01b\r\n\r\n`,
  'a header without a name': `${START}: x\r\n\r\n`,
  'a header line without a colon': `${START}nonsense\r\n\r\n`,
  'a space in a name': `${START}X A: x\r\n\r\n`,
  'a high byte in a name': `${START}X-\xe9: x\r\n\r\n`,
  'no Host': 'GET / HTTP/1.1\r\n\r\n',
  'two Hosts': 'GET / HTTP/1.1\r\nHost: shop.example\r\nHost: shop.example\r\n\r\n',
  'a list of Hosts': 'GET / HTTP/1.1\r\nHost: shop.example, shop.example\r\n\r\n',
  'an empty Host': 'GET / HTTP/1.1\r\nHost:\r\n\r\n',
  'a Host with a path': 'GET / HTTP/1.1\r\nHost: shop.example/x\r\n\r\n',
  'a Host with a user': 'GET / HTTP/1.1\r\nHost: a@shop.example\r\n\r\n',
  'a Host with a bad port': 'GET / HTTP/1.1\r\nHost: shop.example:x\r\n\r\n',
  'an absolute target that disagrees with Host': 'GET http://other.example/ HTTP/1.1\r\nHost: shop.example\r\n\r\n',
  'an absolute target that begins like Host': 'GET https://shop.example.evil/ HTTP/1.1\r\nHost: shop.example\r\n\r\n',
  'an absolute target with a user': 'GET https://shop.example@evil/ HTTP/1.1\r\nHost: shop.example\r\n\r\n',
  'an absolute target of plain http': 'GET http://shop.example/ HTTP/1.1\r\nHost: shop.example\r\n\r\n',
  'a target without a slash': 'GET index.html HTTP/1.1\r\nHost: shop.example\r\n\r\n',
  'the asterisk': 'OPTIONS * HTTP/1.1\r\nHost: shop.example\r\n\r\n',
  'a fragment': 'GET /#x HTTP/1.1\r\nHost: shop.example\r\n\r\n',
  'a NUL in the target': 'GET /a\0b HTTP/1.1\r\nHost: shop.example\r\n\r\n',
  'a space in the target': 'GET /a b HTTP/1.1\r\nHost: shop.example\r\n\r\n',
  'HTTP/0.9': 'GET /\r\n\r\n',
  'HTTP/0.9 with headers': 'GET /\r\nHost: shop.example\r\n\r\n',
  'HTTP/1.0': 'GET / HTTP/1.0\r\nHost: shop.example\r\n\r\n',
  'HTTP/1.0 with keep-alive': 'GET / HTTP/1.0\r\nHost: shop.example\r\nConnection: keep-alive\r\n\r\n',
  'HTTP/1.2': 'GET / HTTP/1.2\r\nHost: shop.example\r\n\r\n',
  'HTTP/2 without ALPN': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  CONNECT: 'CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example\r\n\r\n',
  TRACE: 'TRACE / HTTP/1.1\r\nHost: shop.example\r\n\r\n',
  'a method in lower case': 'get / HTTP/1.1\r\nHost: shop.example\r\n\r\n',
  WebSocket: 'GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  'Connection naming Host': 'GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: host\r\n\r\n',
  'Connection naming Content-Length': `${START}Content-Length: 3\r\nConnection: content-length\r\n\r\nabc`,
  'an unknown expectation': `${START}Expect: the-unexpected\r\nContent-Length: 0\r\n\r\n`,
  'a TLS hello': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
}
for (const [name, bytes] of Object.entries(REFUSED)) {
  test(`the gate refuses ${name} and believes nothing after it`, async () => {
    const { text, seen } = await raw(bytes + HIDDEN)
    assert.deepEqual(seen, [])
    assert.match(text, /^HTTP\/1\.1 (400|405|408|414|417|431|501|505) /)
    assert.equal(text.split('HTTP/1.1 ').length, 2)
  })
}

// The header is in order, the body is not: the app may see a beginning of this request, and never a second one.
const BAD_BODIES = {
  'a chunk size that is not a number': 'zz\r\nabc\r\n0\r\n\r\n',
  'a chunk size with a sign': '+3\r\nabc\r\n0\r\n\r\n',
  'a chunk size with 0x': '0x3\r\nabc\r\n0\r\n\r\n',
  'an overflowing chunk size': 'ffffffffffffffffff\r\nabc',
  'a chunk longer than its size': '3\r\nabcdef\r\n0\r\n\r\n',
  'a chunk ended by LF': '3\r\nabc\n0\r\n\r\n',
  'a chunk size ended by LF': '3\nabc\r\n0\r\n\r\n',
  'a chunk extension with a bare LF': '3;a\nb\r\nabc\r\n0\r\n\r\n',
  'a space before the chunk size': ' 3\r\nabc\r\n0\r\n\r\n',
  'a last chunk without its end': '0\r\nX',
}
for (const [name, body] of Object.entries(BAD_BODIES)) {
  test(`the app never sees a second request after ${name}`, async () => {
    const { seen } = await raw(`${START}Transfer-Encoding: chunked\r\n\r\n${body}${HIDDEN}`)
    assert.deepEqual(
      seen.map((one) => one.url),
      [],
    )
  })
}

const PASSED = {
  'a length': [`${START}Content-Length: 5\r\n\r\nhello`, 'hello'],
  chunks: [`${START}Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n`, 'hello'],
  'chunks in capitals': [`${START}Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n`, 'hello'],
  'chunks with extensions': [`${START}Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n`, 'hello'],
  'chunks with a trailer': [`${START}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n`, 'hello'],
  'a body that looks like a request': [`${START}Content-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`, HIDDEN],
  'an absolute target that agrees with Host': ['GET https://shop.example/ HTTP/1.1\r\nHost: shop.example\r\n\r\n', ''],
  'an empty line before the request': ['\r\nGET / HTTP/1.1\r\nHost: shop.example\r\n\r\n', ''],
} as const
for (const [name, [bytes, body]] of Object.entries(PASSED)) {
  test(`the gate passes ${name}, and the request after it`, async () => {
    const { seen, text } = await raw(`${bytes}GET /second HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n`)
    assert.deepEqual(
      seen.map((one) => [one.url, one.body]),
      [
        ['/', body],
        ['/second', ''],
      ],
    )
    assert.equal(text.split('HTTP/1.1 200 OK').length, 3)
  })
}

test('requests sent ahead are given to the app one after the other and answered in order', async () => {
  const { text } = await raw([1, 2, 3].map((n) => `GET /${n} HTTP/1.1\r\nHost: shop.example\r\n${n === 3 ? 'Connection: close\r\n' : ''}\r\n`).join(''))
  assert.deepEqual(
    [...text.matchAll(/GET (\/\d)/g)].map((match) => match[1]),
    ['/1', '/2', '/3'],
  )
})

test('forwarding headers of the client are replaced by ours, however they are spelt', async () => {
  const spoofed = [
    'X-Forwarded-For',
    'x-FORWARDED-for',
    'X_Forwarded_For',
    'X-Forwarded-Proto',
    'X-Forwarded-Host',
    'X-Forwarded-Port',
    'X-Forwarded-Client-Cert',
  ]
  const others = [
    'Forwarded',
    'X-Real-IP',
    'X_Real_Ip',
    'X-Request-Id',
    'X-Everleaf-Identity',
    'x_everleaf_account',
    'Everleaf-Internal',
    'Proxy',
    'Proxy-Authorization',
  ]
  await ask(rig.at.public?.port ?? 0, HOST, { headers: [...[...spoofed, ...others].map((name) => `${name}: spoofed`), 'X-Kept: 1', 'Authorization: Bearer x'] })
  const headers = rig.seen.at(-1)?.headers ?? []
  assert.equal(headers.includes('spoofed'), false)
  assert.deepEqual(valuesOf(headers, 'x-forwarded-for'), ['127.0.0.1'])
  assert.deepEqual(valuesOf(headers, 'x-forwarded-proto'), ['https'])
  assert.deepEqual(valuesOf(headers, 'x-forwarded-host'), [HOST])
  assert.deepEqual(valuesOf(headers, 'x-kept'), ['1'])
  assert.deepEqual(valuesOf(headers, 'authorization'), ['Bearer x'])
  assert.match(valuesOf(headers, 'x-request-id')[0] ?? '', /^[0-9a-f-]{36}$/)
})

test('hop-by-hop headers, also those named in Connection, stay at the gateway', async () => {
  await ask(rig.at.public?.port ?? 0, HOST, {
    headers: ['Connection: X-Hop, close', 'X-Hop: 1', 'TE: trailers', 'Keep-Alive: timeout=5', 'Trailer: X', 'Proxy-Connection: x', 'X-End: 1'],
  })
  const headers = rig.seen.at(-1)?.headers ?? []
  const names = headers.filter((_value, index) => index % 2 === 0).map((name) => name.toLowerCase())
  assert.deepEqual(names.sort(), ['host', 'x-end', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-request-id'])
  assert.deepEqual(valuesOf(headers, 'host'), [HOST])
})

/** What a request of `ask` has besides the value of X-A. */
const OTHERS = `/Host${HOST}ConnectioncloseX-A`.length
const LIMITS = [
  ['98 headers besides Host and Connection', Array.from({ length: 98 }, (_, n) => `X-${n}: 1`), '/', 200],
  ['99 headers besides Host and Connection', Array.from({ length: 99 }, (_, n) => `X-${n}: 1`), '/', 431],
  ['16 KiB of path, names and values', [`X-A: ${'a'.repeat(16 * 1024 - OTHERS)}`], '/', 200],
  ['16 KiB and 1 of path, names and values', [`X-A: ${'a'.repeat(16 * 1024 - OTHERS + 1)}`], '/', 431],
  ['a URL of 8 KiB', [], `/${'a'.repeat(8 * 1024 - 1)}`, 200],
  ['a URL of 8 KiB and 1', [], `/${'a'.repeat(8 * 1024)}`, 414],
] as const
for (const [name, headers, path, status] of LIMITS) {
  test(`${name}: ${status}`, async () => assert.equal((await ask(rig.at.public?.port ?? 0, HOST, { headers, path })).status, status))
}

test('a client that never ends its header is told so and put out', async () => {
  const { text, seen } = await raw('GET / HTTP/1.1\r\nHost: shop.example\r\nX-Slow: ')
  assert.match(text, /^HTTP\/1\.1 408 /)
  assert.deepEqual(seen, [])
})

test('Expect: 100-continue is answered when the app takes the body', async () => {
  const { text, seen } = await raw(`${START}Connection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi`)
  assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/)
  assert.deepEqual(valuesOf(seen[0]?.headers ?? [], 'expect'), [])
  assert.equal(seen[0]?.body, 'hi')
})

test('an offer of h2c is ignored, and nothing is read ahead after it', async () => {
  const { text, seen } = await raw(
    `GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n${HIDDEN}`,
  )
  assert.match(text, /^HTTP\/1\.1 200 OK/)
  assert.deepEqual(
    seen.map((one) => one.url),
    ['/'],
  )
})
