import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HttpRequest, type HttpResponse, Secret } from '@everleaf/world'
import { testWorld } from '@everleaf/world/test'
import { fixedToken } from './authenticator.ts'
import { type Call, call, nextWaitMs, path } from './call.ts'
import { ApiFailure } from './failure.ts'

type Scripted = number | Error | { status: number; headers?: Record<string, string>; json?: unknown }

function wire(script: readonly Scripted[]) {
  const seen: HttpRequest[] = []
  const world = testWorld({
    http: {
      request: (request) => {
        const next = script[seen.length]
        seen.push(request)
        if (next === undefined || next instanceof Error) return Promise.reject(next ?? new Error('unexpected call'))
        const { status, headers = {}, json = {} } = typeof next === 'number' ? { status: next } : next
        return Promise.resolve<HttpResponse>({ status, headers, body: Buffer.from(JSON.stringify(json)) })
      },
      close: () => {},
    },
  })
  let forgotten = 0
  const auth = { token: fixedToken(new Secret('t0ken')).token, forget: () => void forgotten++ }
  return { world, seen, forgotten: () => forgotten, options: { world, url: 'http://service/base/', auth, timeoutMs: 9_999.5 } }
}

async function run(script: readonly Scripted[], request: Call) {
  const far = wire(script)
  let done = false
  const outcome = call(far.options, request).catch((error: unknown) => error)
  void outcome.finally(() => {
    done = true
  })
  for (let turn = 0; turn < 20 && !done; turn++) await far.world.advance(3_000)
  return { outcome: await outcome, tries: far.seen.length, seen: far.seen, forgotten: far.forgotten() }
}

const get: Call = { method: 'GET', path: '/x' }
const put: Call = { method: 'PUT', path: '/x', json: { a: 1 }, ifMatch: '7' }
const rows: readonly [string, readonly Scripted[], Call, number, number | 'ok'][] = [
  ['a GET is tried again after 503', [503, 200], get, 2, 'ok'],
  ['a GET is tried again after a broken connection', [new Error('ECONNRESET'), 200], get, 2, 'ok'],
  ['a GET ends after four tries', [503, 503, 503, 503, 200], get, 4, 503],
  ['a GET is not tried again after 501', [501, 200], get, 1, 501],
  ['a GET is not tried again after 404', [404], get, 1, 404],
  ['a PUT with a tag is tried again after 500', [500, 200], put, 2, 'ok'],
  ['a PUT with * is not tried again', [500, 200], { ...put, ifMatch: '*' }, 1, 500],
  ['a POST is not tried again', [503, 200], { method: 'POST', path: '/x', json: {} }, 1, 503],
  ['a POST is sent once more with a new token after 401', [401, 201], { method: 'POST', path: '/x', json: {} }, 2, 'ok'],
  ['a second 401 is final', [401, 401, 200], get, 2, 401],
  ['a wait beyond the deadline is not begun', [{ status: 429, headers: { 'retry-after': '60' } }, 200], get, 1, 429],
]
for (const [name, script, request, tries, end] of rows) {
  test(`call(): ${name}`, async () => {
    const result = await run(script, request)
    assert.equal(result.tries, tries)
    if (end === 'ok') assert.ok(!(result.outcome instanceof Error), String(result.outcome))
    else assert.equal(result.outcome instanceof ApiFailure && result.outcome.status, end)
  })
}

test('call() writes the URL, the token, the tag and the media type', async () => {
  const { seen } = await run([200], {
    method: 'PATCH',
    path: path`/a/${'b/c'}`,
    query: { limit: 5, groups: ['x', 'y'], none: undefined },
    json: {},
    ifMatch: '9',
  })
  assert.equal(seen[0]?.url, 'http://service/base/a/b%2Fc?limit=5&groups=x%2Cy')
  assert.ok(Number.isInteger(seen[0]?.timeoutMs), 'AbortSignal.timeout refuses fractions')
  assert.deepEqual(seen[0]?.headers, {
    accept: 'application/json',
    authorization: 'Bearer t0ken',
    'content-type': 'application/merge-patch+json',
    'if-match': '9',
  })
})

test('call() has no token in its failure', async () => {
  const { outcome } = await run([{ status: 400, json: { message: 'no' } }], get)
  assert.ok(!JSON.stringify([String(outcome), outcome]).includes('t0ken'))
})

for (const value of ['', '.', '..']) test(`path refuses '${value}'`, () => assert.throws(() => path`/a/${value}`, ApiFailure))

test('nextWaitMs() stays under its bound and never under Retry-After', () => {
  assert.equal(nextWaitMs(1, 0, undefined), 0)
  assert.ok(nextWaitMs(1, 0.999, undefined) < 200)
  assert.ok(nextWaitMs(20, 0.999, undefined) < 5_000)
  assert.ok(nextWaitMs(1, 0, 3_000) >= 3_000)
})

for (const askedMs of [1, 50, 1_000, 60_000])
  for (const attempt of [1, 3, 20])
    test(`nextWaitMs() after try ${attempt} heeds a Retry-After of ${askedMs} ms within once and twice of it`, () => {
      assert.equal(nextWaitMs(attempt, 0, askedMs), askedMs)
      assert.ok(nextWaitMs(attempt, 0.999_999, askedMs) <= 2 * askedMs)
    })

test('nextWaitMs() takes a Retry-After of nothing for none: tries stay apart', () => assert.equal(nextWaitMs(2, 0.5, 0), 200))
