import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { eventually, freshHome, type Running, startPlatform } from '../support/platform.ts'
import { dial, talk } from './wire.ts'

const MIB = 1024 * 1024
const place = freshHome()
const { done } = ibmcloudOf(place)
const folder = join(place.home, 'data/objects')
let platform: Running
let token: string
const crns: string[] = []
before(async () => {
  platform = await startPlatform(place)
  token = await platform.token()
  for (const name of ['cos', 'other']) {
    await done('resource', 'service-instance-create', name, 'cloud-object-storage', 'standard', 'global')
    crns.push((await done('resource', 'service-instance', name, '--crn')).split('\n').find((line) => line.includes(':cloud-object-storage:')) ?? '')
  }
})
after(async () => {
  await platform.stop()
  place[Symbol.dispose]()
})

type Answer = { readonly status: number; readonly headers: IncomingMessage['headers']; readonly bytes: Buffer; readonly text: string }

/** A request whose path is sent as it is: fetch would resolve the dots in it. */
function begin(method: string, path: string, headers: Readonly<Record<string, string | number>> = {}): ClientRequest {
  const at = { host: '127.0.0.1', port: platform.ports.api, path: `/object-storage${path}`, method, agent: false }
  return request({ ...at, headers: { authorization: `Bearer ${token}`, ...headers } })
}

async function answerOf(outgoing: ClientRequest): Promise<Answer> {
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk as Buffer)
  const bytes = Buffer.concat(chunks)
  return { status: answer.statusCode ?? 0, headers: answer.headers, bytes, text: bytes.toString() }
}

async function ask(method: string, path: string, body: Buffer | string = '', headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const outgoing = begin(method, path, { 'content-length': Buffer.byteLength(body), ...headers })
  outgoing.end(body)
  return await answerOf(outgoing)
}

/** A bucket of its own for each test. */
async function bucket(name: string): Promise<string> {
  const made = await ask('PUT', `/${name}`, '', { 'ibm-service-instance-id': crns[0] ?? '' })
  assert.equal(made.status, 200, made.text)
  return `/${name}`
}

const md5 = (bytes: Buffer | string) => createHash('md5').update(bytes).digest('hex')
const names = () => (existsSync(folder) ? readdirSync(folder) : [])
const bodies = () => names().length
const keysOf = (xml: string) => [...xml.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key)
const codeOf = ({ text }: Answer) => /<Code>(\w+)</.exec(text)?.[1]
const heldMib = (pid: number) => Number(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').match(/^Pss:\s+(\d+)/m)?.[1] ?? 0) / 1_024

/** Sent, and the key that it is. */
const KEYS: readonly (readonly [string, string])[] = [
  ['..', '..'],
  ['.', '.'],
  ['a/../../b', 'a/../../b'],
  ['/', '/'],
  ['//a', '//a'],
  ['a//b', 'a//b'],
  ['a/b', 'a/b'],
  ['c%2fd', 'c/d'],
  ['a/', 'a/'],
  ['a%00', 'a\0'],
  ['a%00b', 'a\0b'],
  ['a%00c', 'a\0c'],
  ['a\\b', 'a\\b'],
  ['..%5c..%5cb', '..\\..\\b'],
  ['%2e%2e%2fe', '../e'],
  ['%252e', '%2e'],
  ['%2525', '%25'],
  ['a+b', 'a+b'],
  ['a%20b', 'a b'],
  ['a%3fb', 'a?b'],
  ['a%23b', 'a#b'],
  ['a;b=c', 'a;b=c'],
  ['a%0d%0aX-Evil:%201', 'a\r\nX-Evil: 1'],
  ['%1b%5b2J', '\u001b[2J'],
  ['%c3%a9', 'é'],
  ['e%cc%81', 'e\u0301'],
  ['z/%ef%bf%bf', 'z/\uffff'],
  ['z/%f4%8f%bf%bf', 'z/\u{10ffff}'],
  ['z/%f4%8f%bf%bf/y', 'z/\u{10ffff}/y'],
  ['__proto__', '__proto__'],
  ['x'.repeat(1_024), 'x'.repeat(1_024)],
  ['%c3%a9'.repeat(512), 'é'.repeat(512)],
]

test('a key is bytes: each hostile one is an object of its own, comes back as it was, and is listed once, also by a prefix', async () => {
  const at = await bucket('keys')
  for (const [sent, key] of KEYS) assert.equal((await ask('PUT', `${at}/${sent}`, key)).status, 200, sent)
  for (const [sent, key] of KEYS) assert.equal((await ask('GET', `${at}/${sent}`)).text, key, sent)
  const listed = async (query: string) =>
    keysOf((await ask('GET', `${at}?list-type=2&encoding-type=url${query}`)).text).map((key) => decodeURIComponent(key ?? ''))
  const byBytes = KEYS.map(([, key]) => key).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  assert.deepEqual(await listed(''), byBytes)
  for (const prefix of ['a', 'a/', 'a\0', 'z/', 'z/\u{10ffff}', '..', '/', 'é'])
    assert.deepEqual(
      await listed(`&prefix=${encodeURIComponent(prefix)}`),
      byBytes.filter((key) => key.startsWith(prefix)),
      JSON.stringify(prefix),
    )
  const plain = (await ask('GET', at)).text
  assert.doesNotMatch(plain, /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/, 'what XML cannot hold was sent')
  for (const [sent] of KEYS) assert.equal((await ask('DELETE', `${at}/${sent}`)).status, 204)
  assert.equal((await ask('DELETE', at)).status, 204, 'something was left')
})

test('what is no key is refused and stores nothing: too long, broken or overlong UTF-8, halves of pairs, lone percent signs', async () => {
  const at = await bucket('no-keys')
  const count = bodies()
  for (const sent of ['x'.repeat(1_025), `x${'%c3%a9'.repeat(512)}`]) assert.equal(codeOf(await ask('PUT', `${at}/${sent}`, 'x')), 'KeyTooLong')
  for (const sent of ['%ff', '%c3', 'a%c0%ae', '%e0%80%af', '%ed%a0%80', '%f4%90%80%80', '%', '%zz', 'a%2']) {
    const { status, text } = await ask('PUT', `${at}/${sent}`, 'x')
    assert.equal(status, 400, `${sent}: ${text}`)
  }
  const { text } = await talk(
    dial(platform.ports.api),
    Buffer.from(`PUT /object-storage${at}/\xe9 HTTP/1.1\r\nHost: localhost:${platform.ports.api}\r\n\r\n`, 'latin1'),
  )
  assert.match(text, /^HTTP\/1\.1 400/)
  assert.deepEqual(keysOf((await ask('GET', at)).text), [])
  assert.equal(bodies(), count)
})

/** The head of a put, as bytes for a connection of its own. */
const headOf = (path: string, ...more: string[]) =>
  [`PUT /object-storage${path} HTTP/1.1`, `Host: localhost:${platform.ports.api}`, `Authorization: Bearer ${token}`, ...more, '', ''].join('\r\n')

test('a body that is cut off leaves nothing: the object before it stays whole, and no body is left behind', async () => {
  const at = await bucket('cut')
  const whole = randomBytes(900_000)
  assert.equal((await ask('PUT', `${at}/kept`, whole)).status, 200)
  const count = bodies()
  const half = randomBytes(700_000)
  const chunk = (bytes: Buffer) => Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
  for (const [what, framing, bytes] of [
    ['by length', 'Content-Length: 1000000', half],
    ['in the last byte', `Content-Length: ${half.length + 1}`, half],
    ['between chunks', 'Transfer-Encoding: chunked', chunk(half)],
    ['in a chunk', 'Transfer-Encoding: chunked', chunk(half).subarray(0, -2_000)],
    ['before the last chunk', 'Transfer-Encoding: chunked', Buffer.concat([chunk(half), chunk(half)])],
  ] as const)
    for (const ending of ['destroy', 'end'] as const)
      for (const key of ['kept', 'new']) {
        const socket = dial(platform.ports.api).on('error', () => {})
        socket.write(headOf(`${at}/${key}`, framing))
        socket.write(bytes)
        await eventually(`${what}: the body has begun to be stored`, () => bodies() > count)
        socket[ending]()
        await eventually(`${what}, ${ending}: no body is left`, () => bodies() === count)
        socket.destroy()
      }
  assert.ok((await ask('GET', `${at}/kept`)).bytes.equals(whole))
  assert.deepEqual(keysOf((await ask('GET', at)).text), ['kept'])
  assert.doesNotMatch(platform.output(), /an operation failed/, 'a caller that leaves is no fault of ours')
})

test('a body ends where its length says: more is another request, and refused; two lengths, or none that is a number, are refused', async () => {
  const at = await bucket('lengths')
  assert.equal((await ask('PUT', `${at}/five`, 'hello')).status, 200)
  // What follows is no request: the connection ends, perhaps before the answer to the first.
  const { statuses, isClosed } = await talk(dial(platform.ports.api), `${headOf(`${at}/five`, 'Content-Length: 5')}world, and more\r\n\r\n`)
  assert.ok(isClosed && statuses.filter((status) => status < 400).length <= 1, statuses.join(' '))
  for (const framing of [
    ['Content-Length: 5', 'Content-Length: 6'],
    ['Content-Length: 5', 'Transfer-Encoding: chunked'],
    ['Content-Length: -1'],
    ['Content-Length: 5, 5'],
    ['Content-Length: 0x5'],
    ['Content-Length: 99999999999999999999'],
  ]) {
    const refused = await talk(dial(platform.ports.api), `${headOf(`${at}/five`, ...framing)}world\r\n0\r\n\r\n`)
    assert.deepEqual(refused.statuses, [400], `${framing.join(' ')}: ${refused.text}`)
  }
  const over = await talk(dial(platform.ports.api), headOf(`${at}/five`, `Content-Length: ${5 * 1024 ** 3 + 1}`))
  assert.match(over.text, /^HTTP\/1\.1 400.*<Code>EntityTooLarge</s)
  const { text } = await ask('GET', `${at}/five`)
  assert.ok(text === 'hello' || text === 'world', text)
})

test('a body of chunks of one byte each comes in whole, and takes no memory for each', async () => {
  const at = await bucket('bytes')
  const body = randomBytes(300_000)
  const socket = dial(platform.ports.api).on('error', () => {})
  const answered = once(socket, 'data') as Promise<[Buffer]>
  socket.write(headOf(`${at}/one`, 'Transfer-Encoding: chunked'))
  const held = heldMib(platform.corePid())
  let most = held
  for (let n = 0; n < body.length; n += 10_000) {
    const chunks = Array.from(body.subarray(n, n + 10_000), (byte) => Buffer.from([0x31, 13, 10, byte, 13, 10]))
    if (!socket.write(Buffer.concat(chunks))) await once(socket, 'drain')
    most = Math.max(most, heldMib(platform.corePid()))
  }
  socket.write('0\r\n\r\n')
  const [answer] = await answered
  assert.match(answer.toString(), /^HTTP\/1\.1 200/)
  socket.destroy()
  assert.ok((await ask('GET', `${at}/one`)).bytes.equals(body))
  assert.ok(most - held < 64, `${Math.round(most - held)} MiB more`)
})

test('a body that is not the one of its digest changes nothing and stays nowhere', async () => {
  const at = await bucket('digests')
  await ask('PUT', `${at}/one`, 'first')
  const count = bodies()
  for (const [name, value] of [
    ['content-md5', createHash('md5').update('other').digest('base64')],
    ['x-amz-checksum-sha256', createHash('sha256').update('other').digest('base64')],
    ['x-amz-checksum-crc32', 'AAAAAA=='],
  ] as const)
    assert.equal(codeOf(await ask('PUT', `${at}/one`, randomBytes(400_000), { [name]: value })), 'BadDigest', name)
  assert.equal((await ask('GET', `${at}/one`)).text, 'first')
  assert.equal(bodies(), count)
})

/** Puts a body bit by bit, with a breath between two bits. */
async function slowly(path: string, body: Buffer, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  const outgoing = begin('PUT', path, { 'content-length': body.length, ...headers })
  const answer = answerOf(outgoing)
  for (let at = 0; at < body.length; at += 100_000) {
    outgoing.write(body.subarray(at, at + 100_000))
    await sleep(2)
  }
  outgoing.end()
  return (await answer).status
}

test('of puts of one key at once one is there, whole, and only its body; of those that want to be the first, one is', async () => {
  const at = await bucket('at-once')
  const count = bodies()
  for (let round = 0; round < 3; round++) {
    const versions = Array.from({ length: 8 }, (_one, n) => Buffer.alloc(700_000 + n, `${round}${n}`))
    const statuses = await Promise.all(versions.map((body) => slowly(`${at}/one`, body)))
    assert.deepEqual(new Set(statuses), new Set([200]))
    const { bytes, headers } = await ask('GET', `${at}/one`)
    assert.ok(
      versions.some((body) => body.equals(bytes)),
      'it is a mix',
    )
    assert.equal(headers.etag, `"${md5(bytes)}"`)
    await eventually('the other bodies are gone', () => bodies() === count + 1)
  }
  const first = await Promise.all(Array.from({ length: 8 }, (_one, n) => slowly(`${at}/new`, Buffer.alloc(300_000, `${n}`), { 'if-none-match': '*' })))
  assert.deepEqual(first.toSorted(), [200, 412, 412, 412, 412, 412, 412, 412])
  await eventually('the bodies of the others are gone', () => bodies() === count + 2)
})

test('whoever reads while others put and delete gets one version, whole, or is told that it is not there', async () => {
  const at = await bucket('read-write')
  let isOver = false
  const writer = async (n: number) => {
    for (let round = 0; !isOver; round++) {
      assert.equal((await ask('PUT', `${at}/one`, Buffer.alloc(300_000 + round, `${n}-${round} `))).status, 200)
      if (round % 3 === 2) assert.equal((await ask('DELETE', `${at}/one`)).status, 204)
    }
  }
  const seen = new Map<number, number>()
  const reader = async () => {
    while (!isOver) {
      const { status, headers, bytes, text } = await ask('GET', `${at}/one`)
      seen.set(status, (seen.get(status) ?? 0) + 1)
      if (status === 200) assert.equal(headers.etag, `"${md5(bytes)}"`)
      else assert.equal(status, 404, text)
    }
  }
  const copier = async () => {
    while (!isOver) {
      const { status, text } = await ask('PUT', `${at}/copy`, '', { 'x-amz-copy-source': `${at}/one` })
      assert.ok(status === 200 || status === 404, text)
    }
  }
  const all = [writer(1), writer(2), reader(), reader(), reader(), copier()]
  await Promise.race([sleep(4_000), Promise.all(all)])
  isOver = true
  await Promise.all(all)
  assert.ok((seen.get(200) ?? 0) > 20 && (seen.get(404) ?? 0) > 0, JSON.stringify([...seen]))
})

test('whoever has begun to read has the version to its end, though it is replaced and deleted; a part of another version is not sent', async () => {
  const at = await bucket('begun')
  const old = randomBytes(8 * MIB)
  assert.equal((await ask('PUT', `${at}/one`, old)).status, 200)
  const outgoing = begin('GET', `${at}/one`)
  outgoing.end()
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
  assert.equal((await ask('PUT', `${at}/one`, 'next')).status, 200)
  assert.equal((await ask('DELETE', `${at}/one`)).status, 204)
  await sleep(100)
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk as Buffer)
  assert.ok(Buffer.concat(chunks).equals(old))
  await ask('PUT', `${at}/one`, 'the new one')
  for (const [tag, status] of [
    [`"${md5('the new one')}"`, 206],
    [answer.headers.etag ?? '', 200],
    ['Mon, 30 Nov 2020 00:00:00 GMT', 200],
  ] as const)
    assert.equal((await ask('GET', `${at}/one`, '', { range: 'bytes=4-6', 'if-range': tag })).status, status, tag)
})

test('a range of no sense, and several at once, give all of it; one behind the end is refused', async () => {
  const at = await bucket('ranges')
  const body = randomBytes(600_000)
  await ask('PUT', `${at}/one`, body)
  await ask('PUT', `${at}/empty`)
  for (const range of ['bytes=0-1,5-6', 'bytes=5-2', 'bytes=a-b', 'lines=0-1', 'bytes=', `bytes=${'0-1,'.repeat(500)}2-3`]) {
    const { status, headers, bytes } = await ask('GET', `${at}/one`, '', { range })
    assert.deepEqual([status, headers['content-range'], bytes.equals(body)], [200, undefined, true], range)
  }
  const most = await ask('GET', `${at}/one`, '', { range: 'bytes=-99999999999999999999' })
  assert.deepEqual([most.status, most.bytes.equals(body)], [206, true])
  for (const [key, range] of [
    ['one', 'bytes=600000-'],
    ['one', 'bytes=-0'],
    ['one', 'bytes=99999999999999999999-'],
    ['empty', 'bytes=0-'],
    ['empty', 'bytes=-1'],
  ] as const) {
    const refused = await ask('GET', `${at}/${key}`, '', { range })
    assert.deepEqual([refused.status, codeOf(refused)], [416, 'InvalidRange'], `${key} ${range}`)
  }
})

test('no query of a caller begins a header of its own', async () => {
  const at = await bucket('headers')
  await ask('PUT', `${at}/one`, 'x')
  for (const value of ['a%0d%0aX-Evil:%201', 'a%0ab', 'a%00', '%c4%80', '%e2%82%ac']) {
    const { status, headers } = await ask('GET', `${at}/one?response-content-type=${value}`)
    assert.deepEqual([status, headers['x-evil']], [400, undefined], value)
  }
  assert.equal((await ask('GET', `${at}/one?response-content-type=text/x%3ba%3d1`)).headers['content-type'], 'text/x;a=1')
})

test('an object does not come into a bucket of the same name that belongs to another instance', async () => {
  const at = await bucket('of-two')
  const count = bodies()
  const outgoing = begin('PUT', `${at}/one`, { 'content-length': 600_000 })
  const answer = answerOf(outgoing)
  outgoing.write(randomBytes(400_000))
  await eventually('it has begun', () => bodies() > count)
  assert.equal((await ask('DELETE', at)).status, 204)
  assert.equal((await ask('PUT', at, '', { 'ibm-service-instance-id': crns[1] ?? '' })).status, 200)
  outgoing.end(randomBytes(200_000))
  assert.equal(codeOf(await answer), 'NoSuchBucket')
  assert.deepEqual(keysOf((await ask('GET', at)).text), [])
  assert.equal(bodies(), count)
})

test('a body that was altered, cut, exchanged or lost is not given out as if it were whole; others are', async () => {
  const at = await bucket('altered')
  const large = randomBytes(3 * MIB)
  const bodyOf = async (key: string, bytes: Buffer) => {
    const there = new Set(names())
    await ask('PUT', `${at}/${key}`, bytes)
    return join(folder, names().find((name) => !there.has(name)) ?? '')
  }
  const flip = (file: string, byte: number) => {
    const bytes = readFileSync(file)
    bytes.writeUInt8(bytes.readUInt8(byte) ^ 1, byte)
    writeFileSync(file, bytes)
  }
  const files = new Map<string, string>()
  for (const key of ['first', 'last', 'cut', 'exchanged', 'lost']) files.set(key, await bodyOf(key, large))
  const file = (key: string) => files.get(key) ?? ''
  const good = await bodyOf('good', large)
  flip(file('first'), 1_000)
  flip(file('last'), 3 * MIB)
  writeFileSync(file('cut'), readFileSync(file('cut')).subarray(0, 3 * MIB))
  copyFileSync(good, file('exchanged'))
  rmSync(file('lost'))
  for (const key of ['first', 'exchanged', 'lost']) {
    const { status, text } = await ask('GET', `${at}/${key}`)
    assert.equal(status, 500, `${key}: ${text.slice(0, 300)}`)
    assert.match(text, /<Code>InternalError</)
    assert.ok(!text.includes(folder) && !text.includes(file(key).slice(folder.length + 1)))
  }
  for (const key of ['last', 'cut']) await assert.rejects(ask('GET', `${at}/${key}`), { code: 'ECONNRESET' }, key)
  assert.ok((await ask('GET', `${at}/good`)).bytes.equals(large))
  assert.ok((await ask('GET', `${at}/last`, '', { range: 'bytes=0-9' })).bytes.equals(large.subarray(0, 10)), 'a frame that is whole is read')
  for (const [key, name] of files) assert.ok(platform.output().includes(name.slice(folder.length + 1)), `${key}: the log does not say which body`)
})

test('callers that read slowly, or not at all, are waited for without memory, and nothing stays open when they go', { timeout: 60_000 }, async () => {
  const at = await bucket('slow')
  const size = 256
  const piece = randomBytes(MIB)
  const outgoing = begin('PUT', `${at}/large`, { 'content-length': size * MIB })
  const stored = answerOf(outgoing)
  for (let n = 0; n < size; n++) if (!outgoing.write(piece)) await once(outgoing, 'drain')
  outgoing.end()
  assert.equal((await stored).status, 200)
  const processes = [platform.corePid(), platform.child.pid ?? 0] as const
  const opened = () => readdirSync(`/proc/${processes[0]}/fd`).length
  const [files, held] = [opened(), processes.map(heldMib)]
  const readers = Array.from({ length: 20 }, () => {
    const socket = dial(platform.ports.api).on('error', () => {})
    socket.write(`GET /object-storage${at}/large HTTP/1.1\r\nHost: localhost:${platform.ports.api}\r\nAuthorization: Bearer ${token}\r\n\r\n`)
    return socket
  })
  let most = [0, 0]
  for (let n = 0; n < 30; n++) {
    await sleep(100)
    // A little, now and then, of half of them.
    for (const socket of readers.slice(10)) socket.read(10_000)
    most = processes.map((pid, index) => Math.max(most[index] ?? 0, heldMib(pid)))
  }
  assert.ok(opened() >= files + 20, 'they do not read')
  const growth = most.map((mib, index) => mib - (held[index] ?? 0))
  for (const mib of growth) assert.ok(mib < 100, `20 readers of ${size} MiB take ${growth.map(Math.round).join(' and ')} MiB of core and edge`)
  assert.equal((await ask('GET', `${at}/large`, '', { range: 'bytes=-10' })).status, 206, 'others are served')
  for (const socket of readers) socket.destroy()
  await eventually('all files are closed', () => opened() <= files + 1)
})
