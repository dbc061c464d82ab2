import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type AnswerHead, AnswerReader, Garbled } from './answer-reader.ts'

const LIMITS = { headerBytes: 1_024, headerCount: 10 }

type Read = { heads: AnswerHead[]; body: string; ends: number; switched: string[]; reader: AnswerReader }

/** Gives the bytes to a reader in pieces of the given sizes, the rest in one. */
function read(text: string, options: { method?: string; accept?: string; cuts?: readonly number[] } = {}): Read {
  const bytes = Buffer.from(text, 'latin1')
  const reader = new AnswerReader(LIMITS)
  const got: Read = { heads: [], body: '', ends: 0, switched: [], reader }
  reader.start(
    { method: options.method ?? 'GET', accept: options.accept },
    {
      onHead: (head) => void got.heads.push(head),
      onBody: (chunk) => {
        got.body += chunk.toString('latin1')
      },
      onEnd: () => {
        got.ends++
      },
      onSwitch: (head, rest) => {
        got.heads.push(head)
        got.switched.push(rest.toString('latin1'))
      },
    },
  )
  let at = 0
  for (const cut of [...(options.cuts ?? []), bytes.length]) {
    const until = Math.min(bytes.length, at + cut)
    const piece = Buffer.from(bytes.subarray(at, until))
    if (until > at) reader.push(piece)
    // As a connection does that reads into the same memory again.
    piece.fill('?')
    at = until
  }
  return got
}

const OK = 'HTTP/1.1 200 OK\r\n'
const WHOLE: readonly (readonly [string, string, string, boolean])[] = [
  ['a length', `${OK}Content-Length: 5\r\n\r\nhello`, 'hello', true],
  ['a length of nothing', `${OK}Content-Length: 0\r\n\r\n`, '', true],
  ['chunks', `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n`, 'hello', true],
  ['chunks with a trailer', `${OK}Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n`, 'hello', true],
  ['interim answers before it', `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`, 'ok', true],
  ['no reason phrase', 'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok', 'ok', true],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n', '', true],
  ['304 with the length that 200 would have', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n', '', true],
  ['Connection: close', `${OK}Connection: close\r\nContent-Length: 2\r\n\r\nok`, 'ok', false],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', 'ok', false],
  ['more than was asked for', `${OK}Content-Length: 2\r\n\r\nok${OK}`, 'ok', false],
]
for (const [name, text, body, isReusable] of WHOLE) {
  test(`AnswerReader reads ${name}, however it is cut into pieces`, () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 80 }), (cuts) => {
        const got = read(text, { cuts })
        assert.deepEqual([got.heads.length, got.body, got.ends, got.reader.isReusable], [1, body, 1, isReusable])
      }),
      { numRuns: 200 },
    )
  })
}

test('AnswerReader reads until the end where nothing else ends the body, and only then', () => {
  const got = read(`${OK}\r\nto the end`)
  assert.deepEqual([got.body, got.ends], ['to the end', 0])
  assert.equal(got.reader.close(), true)
  assert.deepEqual([got.ends, got.reader.isReusable], [1, false])
  assert.equal(read(`${OK}Content-Length: 5\r\n\r\nhel`).reader.close(), false)
  assert.equal(read(`${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`).reader.close(), false)
})

test('AnswerReader takes no body in answer to HEAD', () => {
  const got = read(`${OK}Content-Length: 5\r\n\r\n`, { method: 'HEAD' })
  assert.deepEqual([got.ends, got.heads[0]?.headers], [1, ['Content-Length', '5']])
})

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: yes\r\n\r\n'
test('AnswerReader hands over what follows a 101 that was asked for, however it is cut into pieces', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 80 }), (cuts) => {
      const got = read(SWITCH, { cuts, accept: 'yes' })
      assert.deepEqual([got.heads.map(({ status }) => status), got.switched, got.ends, got.reader.isReusable], [[101], [''], 0, false])
    }),
  )
  const { switched, heads } = read(`HTTP/1.1 103 Early Hints\r\n\r\n${SWITCH}words`, { accept: 'yes' })
  assert.deepEqual([switched, heads[0]?.headers], [['words'], ['Sec-WebSocket-Accept', 'yes']])
})

test('AnswerReader reads any other answer to a handshake as it reads all', () => {
  const got = read(`HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno`, { accept: 'yes' })
  assert.deepEqual([got.body, got.ends, got.switched], ['no', 1, []])
})

const GARBLED: readonly (readonly [string, string])[] = [
  ['no HTTP', 'hello'],
  ['another version', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a switch of protocols', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['seventeen interim answers', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(17)],
  ['bare LFs', 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n'],
  ['a bare CR', `${OK}X-A: a\rb\r\n\r\n`],
  ['a NUL', `${OK}X-A: a\0b\r\n\r\n`],
  ['a folded header', `${OK}X-A: a\r\n b\r\n\r\n`],
  ['a space before the colon', `${OK}X-A : a\r\n\r\n`],
  ['a header without a name', `${OK}: a\r\n\r\n`],
  ['a length and chunks', `${OK}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ['two equal lengths', `${OK}Content-Length: 3\r\nContent-Length: 3\r\n\r\n`],
  ['a list of lengths', `${OK}Content-Length: 3, 3\r\n\r\n`],
  ['a signed length', `${OK}Content-Length: +3\r\n\r\n`],
  ['a length after a no-break space', `${OK}Content-Length: \xa03\r\n\r\n`],
  ['an unknown coding', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`],
  ['chunked twice', `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['more headers than are allowed', `${OK}${'X-A: 1\r\n'.repeat(11)}\r\n`],
  ['a header larger than is allowed', `${OK}X-A: ${'a'.repeat(1_024)}\r\n\r\n`],
  ['a header that never ends', `${OK}X-A: ${'a'.repeat(1_024)}`],
  ['a chunk size with a sign', `${OK}Transfer-Encoding: chunked\r\n\r\n+3\r\n`],
  ['a chunk size of nine digits', `${OK}Transfer-Encoding: chunked\r\n\r\n000000003\r\n`],
  ['a chunk longer than its size', `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n`],
  ['a chunk size ended by LF', `${OK}Transfer-Encoding: chunked\r\n\r\n3\nhel\r\n`],
  ['a chunk ended by LF', `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nhel\n`],
  ['a chunk extension without end', `${OK}Transfer-Encoding: chunked\r\n\r\n3;${'a'.repeat(1_100)}`],
  ['a trailer without end', `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n${'X-A: 1\r\n'.repeat(200)}`],
]
for (const [name, text] of GARBLED) {
  test(`AnswerReader refuses ${name}, in one piece and byte by byte`, () => {
    assert.throws(() => read(text), Garbled)
    assert.throws(() => read(text, { cuts: Array.from(text, () => 1) }), Garbled)
  })
}

test('AnswerReader never throws anything but Garbled, and ends an answer at most once', () => {
  const piece = fc.constantFrom(
    OK,
    'Content-Length: 3\r\n',
    'Transfer-Encoding: chunked\r\n',
    '\r\n',
    '3\r\n',
    'abc',
    '0\r\n',
    'HTTP/1.1 100 x\r\n\r\n',
    '\n',
    'x: y\r\n',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 9 })), (pieces, cuts) => {
      try {
        assert.ok(read(pieces.join(''), { cuts }).ends <= 1)
      } catch (error) {
        assert.ok(error instanceof Garbled, String(error))
      }
    }),
    { numRuns: 3_000 },
  )
})

test('AnswerReader stops when its sink does, and the connection is not used again', () => {
  const reader = new AnswerReader(LIMITS)
  const seen: string[] = []
  reader.start(
    { method: 'GET' },
    { onHead: () => reader.stop(), onBody: (chunk) => void seen.push(String(chunk)), onEnd: () => void seen.push('end'), onSwitch: () => {} },
  )
  reader.push(Buffer.from(`${OK}Content-Length: 2\r\n\r\nok`))
  assert.deepEqual([seen, reader.isReusable], [[], false])
})
