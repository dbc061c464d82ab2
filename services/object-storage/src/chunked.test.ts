import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dechunked, type Trailers } from './chunked.ts'

const FRAME = '5\r\nhello\r\n6;chunk-signature=0\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n'

async function read(frame: Buffer, step: number): Promise<{ body: string; trailers: Trailers }> {
  const trailers: Trailers = {}
  let body = ''
  const source = (async function* () {
    for (let at = 0; at < frame.length; at += step) yield frame.subarray(at, at + step)
  })()
  for await (const chunk of dechunked(source, trailers)) body += chunk.toString('latin1')
  return { body, trailers }
}

test('dechunked() gives the body and what follows it, however the bytes come', async () => {
  for (let step = 1; step <= FRAME.length; step++)
    assert.deepEqual(await read(Buffer.from(FRAME), step), { body: 'hello world', trailers: { 'x-amz-checksum-crc32': 'DUoRhQ==' } }, `by ${step}`)
})

test('dechunked() takes a body of nothing', async () => {
  assert.deepEqual(await read(Buffer.from('0\r\n\r\n'), 3), { body: '', trailers: {} })
})

test('dechunked() refuses every frame that is cut off anywhere', async () => {
  for (let length = 0; length < FRAME.length; length++)
    await assert.rejects(read(Buffer.from(FRAME.slice(0, length)), 7), { status: 400, code: 'IncompleteBody' }, JSON.stringify(FRAME.slice(0, length)))
})

for (const [name, frame] of [
  ['a length that is none', 'x\r\nhello\r\n0\r\n\r\n'],
  ['a length below nothing', '-5\r\nhello\r\n0\r\n\r\n'],
  ['a chunk longer than it says', '4\r\nhello\r\n0\r\n\r\n'],
  ['a chunk shorter than it says', '6\r\nhello\r\n0\r\n\r\n'],
  ['more behind its end', '5\r\nhello\r\n0\r\n\r\nmore'],
  ['a trailer that is no header', '0\r\nno header\r\n\r\n'],
  ['too many trailers', `0\r\n${'a:b\r\n'.repeat(40)}\r\n`],
  ['the body as it is', 'hello world'],
] as const)
  test(`dechunked() refuses ${name}`, async () => {
    for (const step of [1, 64, 100_000]) await assert.rejects(read(Buffer.from(frame), step), { status: 400, code: 'IncompleteBody' })
  })

test('dechunked() does not hold a line of no end', async () => {
  let read = 0
  const source = (async function* () {
    for (; read < 1_000; read++) yield Buffer.alloc(1_024, 'a')
  })()
  await assert.rejects(
    async () => {
      for await (const _ of dechunked(source, {}));
    },
    { code: 'IncompleteBody' },
  )
  assert.ok(read < 20, `${read} KiB were read`)
})
