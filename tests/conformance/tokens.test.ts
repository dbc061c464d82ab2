import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { mock, test } from 'node:test'
import { apiKeyAuthenticator, computeResourceAuthenticator } from '@everleaf/clients'
import { createNodeHttp, Secret } from '@everleaf/world'
import { testWorld } from '@everleaf/world/test'
import sdk from 'ibm-cloud-sdk-core'
import { freshHome, startPlatform } from '../support/platform.ts'

/*
 * The same cases through IBM's Node core and through our own authenticators. The far side is a small token endpoint whose tokens
 * can be told from each other; time is turned, never waited for.
 */

const MINUTE_MS = 60_000
const LIFE_MINUTES = 60

type Ask = { readonly apiKey: string; readonly iamUrl: string } | { readonly profile: string; readonly tokenFile: string; readonly iamUrl: string }
type Client = { token(): Promise<string>; pass(ms: number): Promise<void>; [Symbol.dispose](): void }
type Grant = { readonly path: string; readonly form: Readonly<Record<string, string>> }

const implementations: Readonly<Record<string, (ask: Ask) => Client>> = { "IBM's Node core": ibm, 'our own client': ours }

function ibm(ask: Ask): Client {
  const authenticator =
    'apiKey' in ask
      ? new sdk.IamAuthenticator({ apikey: ask.apiKey, url: ask.iamUrl })
      : new sdk.ContainerAuthenticator({ iamProfileName: ask.profile, crTokenFilename: ask.tokenFile, url: ask.iamUrl })
  return {
    async token() {
      const options: { headers: Record<string, string> } = { headers: {} }
      await authenticator.authenticate(options)
      const headers: unknown = options.headers
      const value = headers instanceof Headers ? headers.get('authorization') : options.headers.Authorization
      return String(value).replace(/^Bearer /, '')
    },
    pass: async (ms) => mock.timers.setTime(Date.now() + ms),
    [Symbol.dispose]: () => {},
  }
}

function ours(ask: Ask): Client {
  const http = createNodeHttp()
  const world = testWorld({ http })
  const authenticator =
    'apiKey' in ask
      ? apiKeyAuthenticator({ world, iamUrl: ask.iamUrl, apiKey: new Secret(ask.apiKey) })
      : computeResourceAuthenticator({ world, iamUrl: ask.iamUrl, profile: { name: ask.profile }, tokenFile: ask.tokenFile })
  return {
    token: async () => (await authenticator.token()).reveal(),
    pass: (ms) => world.advance(ms),
    [Symbol.dispose]: () => http.close(),
  }
}

/** A token endpoint: it answers `refuseWith` where that is set, else a token that says which one it is. */
async function tokenEndpoint() {
  const grants: Grant[] = []
  const refusal = { text: '' }
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    grants.push({ path: request.url ?? '', form: Object.fromEntries(new URLSearchParams(body)) })
    response.setHeader('content-type', 'application/json')
    if (refusal.text !== '') return void response.writeHead(400).end(JSON.stringify({ errorCode: 'BXNIM0415E', errorMessage: refusal.text }))
    const iat = Math.floor(Date.now() / 1_000)
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const token = `${part({ alg: 'RS256' })}.${part({ number: grants.length, iat, exp: iat + LIFE_MINUTES * 60 })}.c2ln`
    response.end(JSON.stringify({ access_token: token, expires_in: LIFE_MINUTES * 60, expiration: iat + LIFE_MINUTES * 60, token_type: 'Bearer' }))
  })
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    grants,
    refusal,
    /** Resolves once so many grants were asked for, and the last one's answer has had its turn. */
    async granted(count: number) {
      const endsAt = performance.now() + 5_000
      while (grants.length < count && performance.now() < endsAt) await new Promise((turn) => setImmediate(turn))
      assert.ok(grants.length >= count, `${grants.length} grants, not ${count}`)
      for (let turns = 0; turns < 20; turns++) await new Promise((turn) => setImmediate(turn))
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

const numberOf = (token: string) => (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { number: number }).number

for (const [name, make] of Object.entries(implementations)) {
  test(`${name}: an API key's grant has the published form, and callers at once share one`, async () => {
    await using endpoint = await tokenEndpoint()
    using client = make({ apiKey: 'the-key', iamUrl: `${endpoint.url}/iam` })
    const tokens = await Promise.all([client.token(), client.token(), client.token()])
    assert.equal(new Set(tokens).size, 1)
    const [grant, ...more] = endpoint.grants
    assert.deepEqual([grant?.path, more], ['/iam/identity/token', []])
    assert.partialDeepStrictEqual(grant?.form, { grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey: 'the-key', response_type: 'cloud_iam' })
  })

  test(`${name}: a compute resource token's grant names the profile, and the file is read again at each`, async () => {
    await using endpoint = await tokenEndpoint()
    using place = freshHome()
    const tokenFile = join(place.home, 'token')
    for (const content of ['first.compute.token', 'second.compute.token']) {
      writeFileSync(tokenFile, content)
      using client = make({ profile: 'the-profile', tokenFile, iamUrl: endpoint.url })
      await client.token()
      const expected = { grant_type: 'urn:ibm:params:oauth:grant-type:cr-token', cr_token: content, profile_name: 'the-profile' }
      assert.deepEqual(endpoint.grants.at(-1), { path: '/identity/token', form: expected })
    }
  })

  test(`${name}: a compute resource token that is rewritten is the one of the next grant`, async () => {
    mock.timers.enable({ apis: ['Date'], now: Date.now() })
    try {
      await using endpoint = await tokenEndpoint()
      using place = freshHome()
      const tokenFile = join(place.home, 'token')
      writeFileSync(tokenFile, 'first')
      using client = make({ profile: 'the-profile', tokenFile, iamUrl: endpoint.url })
      await client.token()
      writeFileSync(tokenFile, 'second')
      await client.pass(LIFE_MINUTES * MINUTE_MS)
      assert.equal(numberOf(await client.token()), 2)
      assert.deepEqual(
        endpoint.grants.map(({ form }) => form.cr_token),
        ['first', 'second'],
      )
    } finally {
      mock.timers.reset()
    }
  })

  test(`${name}: without a token file nothing is sent, and the error says what is missing`, async () => {
    await using endpoint = await tokenEndpoint()
    using client = make({ profile: 'the-profile', tokenFile: '/nowhere/token', iamUrl: endpoint.url })
    await assert.rejects(client.token(), /token/i)
    assert.deepEqual(endpoint.grants, [])
  })

  test(`${name}: a token is kept for 80 % of its life, then renewed while the old one is handed out`, async () => {
    mock.timers.enable({ apis: ['Date'], now: Date.now() })
    try {
      await using endpoint = await tokenEndpoint()
      using client = make({ apiKey: 'k', iamUrl: endpoint.url })
      assert.equal(numberOf(await client.token()), 1)
      await client.pass(47 * MINUTE_MS)
      assert.equal(numberOf(await client.token()), 1)
      assert.equal(endpoint.grants.length, 1)
      await client.pass(2 * MINUTE_MS)
      assert.equal(numberOf(await client.token()), 1)
      await endpoint.granted(2)
      assert.equal(numberOf(await client.token()), 2)
      assert.equal(endpoint.grants.length, 2)
    } finally {
      mock.timers.reset()
    }
  })

  test(`${name}: a renewal that is refused leaves the old token in use, and is tried again no sooner than after 60 s`, async () => {
    mock.timers.enable({ apis: ['Date'], now: Date.now() })
    try {
      await using endpoint = await tokenEndpoint()
      using client = make({ apiKey: 'k', iamUrl: endpoint.url })
      await client.token()
      endpoint.refusal.text = 'IAM is out of sorts'
      await client.pass(50 * MINUTE_MS)
      assert.equal(numberOf(await client.token()), 1)
      await endpoint.granted(2)
      await client.pass(30_000)
      assert.equal(numberOf(await client.token()), 1)
      await endpoint.granted(2)
      assert.equal(endpoint.grants.length, 2)
      endpoint.refusal.text = ''
      await client.pass(31_000)
      await client.token()
      await endpoint.granted(3)
      assert.equal(numberOf(await client.token()), 3)
    } finally {
      mock.timers.reset()
    }
  })

  test(`${name}: a refused grant ends with IAM's own words, and the key is not in them`, async () => {
    await using endpoint = await tokenEndpoint()
    endpoint.refusal.text = 'Provided API key could not be found.'
    using client = make({ apiKey: 'a-key-nobody-may-read', iamUrl: endpoint.url })
    const error = await client.token().then(
      () => undefined,
      (cause: unknown) => cause,
    )
    assert.ok(error instanceof Error)
    assert.match(error.message, /Provided API key could not be found/)
    assert.doesNotMatch(error.message, /nobody-may-read/)
  })
}

/** IBM's core puts its own words over every refusal that its token endpoint marks as one of IAM's (`context.url`). */
const WORDS: Readonly<Record<string, RegExp>> = {
  "IBM's Node core": /Access is denied due to invalid credentials/,
  'our own client': /Provided API key could not be found/,
}

test('a running platform gives both a token of the same identity, and refuses a wrong key to both', async () => {
  using place = freshHome()
  await using platform = await startPlatform(place)
  const iamUrl = platform.env.IAM_AUTH_URL ?? ''
  const identities = new Set<unknown>()
  for (const [name, make] of Object.entries(implementations)) {
    using good = make({ apiKey: platform.env.IBMCLOUD_API_KEY ?? '', iamUrl })
    const claims = JSON.parse(Buffer.from((await good.token()).split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
    identities.add(claims.iam_id)
    using wrong = make({ apiKey: 'w'.repeat(44), iamUrl })
    await assert.rejects(wrong.token(), WORDS[name] ?? assert.fail(name))
  }
  assert.equal(identities.size, 1)
  assert.match(String([...identities][0]), /^iam-ServiceId-/)
  await platform.stop()
})
