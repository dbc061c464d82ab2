import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@everleaf/world'
import { testWorld } from '@everleaf/world/test'
import { apiKeyAuthenticator, type Grant, keepToken } from './authenticator.ts'

const HOUR_MS = 3_600_000

function counted(outcomes: readonly (Grant | Error)[] = []) {
  const world = testWorld()
  let grants = 0
  const keeper = keepToken(world, () => {
    const outcome = outcomes[grants++]
    if (outcome instanceof Error) return Promise.reject(outcome)
    return Promise.resolve(outcome ?? { token: new Secret(`token-${grants}`), lifeMs: HOUR_MS })
  })
  return { world, keeper, grants: () => grants, now: async () => (await keeper.token()).reveal() }
}

test('keepToken() merges grants that are wanted at once', async () => {
  const { keeper, grants } = counted()
  await Promise.all([keeper.token(), keeper.token(), keeper.token()])
  assert.equal(grants(), 1)
})

for (const [minutes, expected] of [
  [47, 1],
  [49, 2],
] as const) {
  test(`keepToken() has asked ${expected} time(s) after ${minutes} of 60 minutes`, async () => {
    const { world, now, grants } = counted()
    await now()
    await world.advance(minutes * 60_000)
    assert.equal(await now(), 'token-1', 'the old token is handed out while the new one is on its way')
    await world.advance(1)
    assert.equal(grants(), expected)
    assert.equal(await now(), `token-${expected}`)
  })
}

test('keepToken() waits 60 s after a renewal that failed', async () => {
  const { world, now, grants } = counted([{ token: new Secret('first'), lifeMs: HOUR_MS }, new Error('IAM is away')])
  await now()
  await world.advance(50 * 60_000)
  assert.equal(await now(), 'first')
  await world.advance(59_000)
  assert.equal(await now(), 'first')
  assert.equal(grants(), 2)
  await world.advance(2_000)
  assert.equal(await now(), 'first')
  assert.equal(grants(), 3)
})

test('keepToken() counts a token as expired 10 s early and then waits for the new one', async () => {
  const { world, now } = counted()
  await now()
  await world.advance(HOUR_MS - 9_000)
  assert.equal(await now(), 'token-2')
})

test('keepToken() asks anew after forget()', async () => {
  const { keeper, now } = counted()
  await now()
  keeper.forget()
  assert.equal(await now(), 'token-2')
})

test('apiKeyAuthenticator() sends the grant of the SDKs, whatever form the URL has', async () => {
  const seen: [string, string][] = []
  const world = testWorld({
    http: {
      request: (request) => {
        seen.push([request.url, String(request.body)])
        return Promise.resolve({ status: 200, headers: {}, body: Buffer.from('{"access_token":"a","expires_in":3600}') })
      },
      close: () => {},
    },
  })
  for (const iamUrl of ['http://h/iam', 'http://h/iam/', 'http://h/iam/identity/token'])
    await apiKeyAuthenticator({ world, iamUrl, apiKey: new Secret('k') }).token()
  const expected = ['http://h/iam/identity/token', 'grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&response_type=cloud_iam&apikey=k']
  assert.deepEqual(seen, [expected, expected, expected])
})
