import assert from 'node:assert/strict'
import { Duplex, PassThrough } from 'node:stream'
import { test } from 'node:test'
import { framesOver } from './frames.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** What the frames of these messages look like on the wire. */
async function bytesOf(messages: readonly unknown[]): Promise<Buffer> {
  const wire = new PassThrough()
  const frames = framesOver(wire, { onMessage: () => {}, onEnd: () => {} })
  const chunks: Buffer[] = []
  wire.removeAllListeners('data').on('data', (chunk: Buffer) => chunks.push(chunk))
  for (const message of messages) frames.send(message)
  await turn()
  return Buffer.concat(chunks)
}

function reader(onMessage?: (message: unknown) => void) {
  const got: unknown[] = []
  const ends: (Error | undefined)[] = []
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const frames = framesOver(stream, {
    onMessage: (message) => {
      got.push(message)
      onMessage?.(message)
    },
    onEnd: (error) => ends.push(error),
  })
  return { stream, frames, got, ends }
}

const messages = [{ a: 1 }, 'x'.repeat(1_000), new Map([['k', new Uint8Array([1, 2])]]), undefined, { date: new Date(0) }]

for (const size of [1, 2, 3, 5, 7, 64, 100_000]) {
  test(`messages arrive whole and in order over reads of ${size} bytes`, async () => {
    const bytes = await bytesOf(messages)
    const { stream, got } = reader()
    for (let at = 0; at < bytes.length; at += size) stream.push(bytes.subarray(at, at + size))
    while (got.length < messages.length) await turn()
    assert.deepEqual(got, messages)
  })
}

test('a message of 32 MiB in reads of 1 KiB takes less than 2 seconds', async () => {
  const body = Buffer.alloc(32 * 1024 * 1024, 1)
  const bytes = await bytesOf([body])
  const { stream, got } = reader()
  const began = process.hrtime.bigint()
  for (let at = 0; at < bytes.length; at += 1_024) stream.emit('data', bytes.subarray(at, at + 1_024))
  assert.equal(got.length, 1)
  assert.ok(Number(process.hrtime.bigint() - began) < 2e9)
})

test('a frame that claims more than the limit ends the link with a reason', () => {
  const { stream, ends } = reader()
  stream.emit('data', Buffer.from([0xff, 0xff, 0xff, 0xff, 0]))
  assert.match(ends[0]?.message ?? '', /a frame of 4294967295 bytes/)
  assert.equal(stream.destroyed, true)
})

test('bytes that are no message end the link with a reason', () => {
  const { stream, ends, got } = reader()
  stream.emit('data', Buffer.from([0, 0, 0, 2, 1, 2]))
  assert.deepEqual([got, ends.length, ends[0] instanceof Error], [[], 1, true])
})

test('what comes after a close is dropped, also from the same read', async () => {
  const bytes = await bytesOf(['one', 'two', 'three'])
  const { stream, frames, got, ends } = reader((message) => {
    if (message === 'one') frames.close()
  })
  stream.emit('data', bytes)
  assert.deepEqual([got, ends], [['one'], [undefined]])
})

test('the other side going away without closing its socket is the end', async () => {
  const { stream, ends } = reader()
  stream.push(null)
  stream.resume()
  await turn()
  await turn()
  assert.deepEqual(ends, [undefined])
})
