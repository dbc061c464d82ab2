import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCidr } from '@everleaf/world/addresses'
import { createGuardedHttp } from '../src/index.ts'
import { startSink, status } from './sink.ts'

const LOOPBACK = [parseCidr('127.0.0.0/8')]

function client(options: Partial<Parameters<typeof createGuardedHttp>[0]>) {
  return createGuardedHttp({ lookup: async () => [], own: () => undefined, allowPrivate: [], plainHttpToLoopback: true, ...options })
}

const get = (url: string) => ({ method: 'GET', url, timeoutMs: 2_000 })

test('a loopback address is refused unless the operator lists it', async () => {
  await using sink = await startSink(status(200))
  const closed = client({})
  await assert.rejects(closed.request(get(sink.url)), /loopback address/)
  assert.equal(sink.seen.length, 0)
  const open = client({ allowPrivate: LOOPBACK })
  assert.equal((await open.request(get(sink.url))).status, 200)
  closed.close()
  open.close()
})

for (const [name, addresses] of [
  ['a private address', ['10.0.0.1']],
  ['one private among public ones', ['93.184.216.34', '10.0.0.1']],
  ['a good A and a bad AAAA', ['93.184.216.34', 'fc00::1']],
  ['a metadata address', ['169.254.169.254']],
  ['a mapped loopback address', ['::ffff:127.0.0.1']],
  ['a NAT64 form of loopback', ['64:ff9b::7f00:1']],
  ['nothing', []],
] as const) {
  test(`a name that leads to ${name} is refused before anything is sent`, async () => {
    const http = client({ lookup: async () => addresses })
    await assert.rejects(http.request(get('https://receiver.example.com/')), /nobody here may call|no address/)
    http.close()
  })
}

test('metadata and link-local addresses stay closed even when everything is listed', async () => {
  for (const address of ['169.254.169.254', 'fe80::1']) {
    const http = client({ lookup: async () => [address], allowPrivate: [parseCidr('0.0.0.0/0'), parseCidr('::/0')] })
    await assert.rejects(http.request(get('https://receiver.example.com/')), /nobody here may call/)
    http.close()
  }
})

test('a name whose answer comes within 5 s is called, one whose answer comes later is not', async () => {
  await using sink = await startSink(status(200))
  const port = new URL(sink.url).port
  const answerIn = (ms: number) => client({ lookup: () => new Promise((resolve) => setTimeout(() => resolve(['127.0.0.1']), ms)), allowPrivate: LOOPBACK })
  const [prompt, late] = [answerIn(4_700), answerIn(5_300)]
  const ask = { ...get(`http://receiver.localhost:${port}/`), timeoutMs: 20_000 }
  const began = performance.now()
  const [answered, refused] = await Promise.allSettled([prompt.request(ask), late.request(ask)])
  assert.equal(answered.status === 'fulfilled' && answered.value.status, 200)
  assert.match(String(refused.status === 'rejected' && refused.reason), /no answer from DNS in 5 s/)
  assert.ok(performance.now() - began < 5_290, 'it was waited for')
  await new Promise((resolve) => setTimeout(resolve, 400))
  assert.equal(sink.seen.length, 1)
  prompt.close()
  late.close()
})

test('each connection asks once and goes to what was judged, so that a changing answer gains nothing', async () => {
  await using sink = await startSink(status(200))
  const port = new URL(sink.url).port
  const answers = [['127.0.0.1'], ['10.0.0.1']]
  let asked = 0
  const http = client({ lookup: async () => answers[asked++] ?? [], allowPrivate: LOOPBACK })
  assert.equal((await http.request(get(`http://receiver.localhost:${port}/`))).status, 200)
  assert.equal(asked, 1)
  http.close()
})

test('a name of the platform leads to its own listener, whatever its case and a dot at the end', async () => {
  await using sink = await startSink(status(204))
  const port = Number(new URL(sink.url).port)
  const hosts: string[] = []
  const own = (host: string) => {
    hosts.push(host)
    return { address: '127.0.0.1', port }
  }
  const http = client({ own })
  assert.equal((await http.request(get('http://App.Sub.EVERLEAF.localhost./x'))).status, 204)
  assert.deepEqual(hosts, ['app.sub.everleaf.localhost'])
  assert.equal(sink.seen[0]?.url, '/x')
  http.close()
})

test('credentials in a URL and plain HTTP beyond loopback are refused at the call too', async () => {
  const http = client({ lookup: async () => ['93.184.216.34'] })
  await assert.rejects(http.request(get('https://user:pass@receiver.example.com/')), /user name or password/)
  await assert.rejects(http.request(get('http://receiver.example.com/')), /https/)
  http.close()
})

test('a receiver without a trusted certificate is refused', async () => {
  await using sink = await startSink(status(200))
  const port = Number(new URL(sink.url).port)
  const http = client({ own: () => ({ address: '127.0.0.1', port }) })
  await assert.rejects(http.request(get('https://app.everleaf.localhost/')))
  assert.equal(sink.seen.length, 0)
  http.close()
})
