import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { freshHome, type Running, startPlatform } from '../support/platform.ts'
import { ISSUER, withHome } from './home-at-rest.ts'
import { accountOf, call, namesOf, type Place, placesOf, urlOf } from './places.ts'

const HOUR_MS = 3_600_000
const home = freshHome()
let platform: Running
let places: readonly Place[]
/** Tokens of a caller with every right, each good but for one thing. */
let bad: Readonly<Record<string, string>>
/** Made as those are, and good. */
let good: string

before(async () => {
  await (await startPlatform(home)).stop()
  const { apikey } = JSON.parse(readFileSync(join(home.home, 'login.json'), 'utf8')) as { apikey: string }
  const [made, other, expired, early] = [
    await withHome(home.home, {}, ({ token }) => token(apikey)),
    await withHome(home.home, { issuer: 'https://iam.example.com/identity' }, ({ token }) => token(apikey)),
    await withHome(home.home, { offsetMs: -2 * HOUR_MS }, ({ token }) => token(apikey)),
    await withHome(home.home, { offsetMs: 2 * HOUR_MS }, ({ token }) => token(apikey)),
  ]
  platform = await startPlatform(home)
  good = made
  const account = accountOf(good)
  const names = namesOf(platform, account)
  await platform.stop()
  const projectCrn = `crn:v1:bluemix:public:codeengine:us-south:a/${account}:${names.project}::`
  const [compute, serviceAccount] = await withHome(home.home, {}, async ({ iam }) => {
    const component = { projectCrn, componentType: 'application', componentName: 'shop' }
    const subject = { ...component, account, projectId: names.project, projectName: 'everleaf', region: 'us-south', instance: 'shop-1' }
    return [iam.computeResourceToken(subject).token, iam.serviceAccountToken({ ...subject, namespace: 'abc', serviceAccount: 'manager' }).token]
  })
  platform = await startPlatform(home)
  places = placesOf(platform, names)
  const [header = '', payload = '', signature = ''] = good.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  bad = {
    'another issuer': other,
    expired,
    'issued in the future': early,
    'a compute resource token': compute,
    'of a service account': serviceAccount,
    'no signature': `${header}.${payload}.`,
    'a signature of zeros': `${header}.${payload}.${Buffer.alloc(256).toString('base64url')}`,
    'another payload': `${header}.${encode({ ...claims, account: { bss: '0'.repeat(32) } })}.${signature}`,
    'no algorithm': `${encode({ alg: 'none', typ: 'JWT' })}.${payload}.`,
    'an API key': apikey,
    garbage: 'garbage',
  }
  assert.equal(claims.iss, ISSUER)
})
after(async () => {
  await platform.stop()
  home[Symbol.dispose]()
})

for (const what of [
  'another issuer',
  'expired',
  'issued in the future',
  'a compute resource token',
  'of a service account',
  'no signature',
  'a signature of zeros',
  'another payload',
  'no algorithm',
  'an API key',
  'garbage',
]) {
  test(`every operation refuses a token with ${what}`, { timeout: 120_000 }, async () => {
    const token = bad[what]
    assert.ok(token)
    const wrong: string[] = []
    let asked = 0
    for (const place of places)
      for (const [method, path, action] of place.routes) {
        if (action === 'public') continue
        asked++
        const { status } = await call(method, urlOf(place, path, { project_id: platform.env.CODE_ENGINE_PROJECT_ID ?? '' }), {
          token,
          headers: place.headers,
        })
        if (status !== place.unauthenticated) wrong.push(`${place.name}: ${method} ${path}: ${status}`)
      }
    assert.deepEqual(wrong, [])
    assert.ok(asked > 100)
  })
}

test('the same calls are let in with a good token', async () => {
  const place = places.find(({ name }) => name === 'secrets-manager')
  assert.ok(place)
  assert.equal((await call('GET', urlOf(place, '/api/v2/secrets', {}), { token: good })).status, 200)
})

test('a compute resource token is good for no profile that does not name its component', async () => {
  const form = { grant_type: 'urn:ibm:params:oauth:grant-type:cr-token', cr_token: bad['a compute resource token'] ?? '', profile_name: 'everleaf-cli' }
  const response = await fetch(`${platform.env.IAM_AUTH_URL}/identity/token`, { method: 'POST', body: new URLSearchParams(form) })
  assert.equal(response.status, 400, await response.text())
})
