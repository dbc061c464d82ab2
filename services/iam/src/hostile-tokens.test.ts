import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import { readAccessToken } from './access-tokens.ts'
import { readComputeToken } from './compute-tokens.ts'
import { type Claims, type SigningKey, signJwt } from './jwt.ts'
import type { KeyRing } from './key-ring.ts'
import { readAccountToken } from './service-accounts.ts'

const ISSUER = 'https://iam.cloud.ibm.com/identity'
const AUDIENCE = `${ISSUER}/token`
const NOW = new Date('2026-11-22T12:00:00Z')
const SECONDS = NOW.getTime() / 1000
const ACCOUNT = 'a'.repeat(32)

const access: SigningKey = { kid: 'access-1', algorithm: 'RS256', ...generateKeyPairSync('rsa', { modulusLength: 2048 }) }
const compute: SigningKey = { kid: 'compute-1', algorithm: 'ES256', ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) }
const stranger: SigningKey = { kid: 'access-1', algorithm: 'RS256', ...generateKeyPairSync('rsa', { modulusLength: 2048 }) }
const own: Record<string, SigningKey> = { access, compute }
const ring: KeyRing = {
  signer: (purpose) => (purpose === 'access' ? access : compute),
  verifier: (purpose, kid) => (own[purpose]?.kid === kid ? own[purpose] : undefined),
  jwks: () => ({ keys: [] }),
  hashKey: Buffer.alloc(32),
  rotate: async () => {},
  dueAt: () => new Date(0),
}

const good: Claims = { iam_id: 'iam-Profile-1', id: 'iam-Profile-1', account: { bss: ACCOUNT }, iss: ISSUER, iat: SECONDS, exp: SECONDS + 3600 }
const goodCompute: Claims = {
  iss: 'https://codeengine.cloud.ibm.com/compute-resource',
  aud: AUDIENCE,
  sub: 'crn',
  account: ACCOUNT,
  project_crn: 'crn:p',
  component_type: 'job',
  component_name: 'j',
  issued_at_ms: NOW.getTime(),
  iat: SECONDS,
  exp: SECONDS + 3600,
}

const CLUSTER = 'https://kubernetes.default.svc.cluster.local'
const goodAccount: Claims = { ...goodCompute, iss: CLUSTER, aud: CLUSTER, project_id: 'p', service_account: 'writer' }

const readAccount = (token: string) => readAccountToken(token, { ring, now: NOW })
const readAccess = (token: string) => readAccessToken(token, { ring, issuer: ISSUER, now: NOW })
const readCompute = (token: string) => readComputeToken(token, { ring, audience: AUDIENCE, now: NOW })
const encode = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
/** A token with this header, really signed by the real access key. */
const withHeader = (header: unknown, claims: unknown = good) => {
  const text = `${encode(header)}.${encode(claims)}`
  return `${text}.${sign('sha256', Buffer.from(text), access.privateKey).toString('base64url')}`
}
const token = (change: Claims = {}) => signJwt({ ...good, ...change }, 'JWT', access)
const without = (name: string) => signJwt(Object.fromEntries(Object.entries(good).filter(([key]) => key !== name)), 'JWT', access)
const signatureOf = (text: string) => text.split('.')[2] ?? ''
const publicPem = access.publicKey.export({ format: 'pem', type: 'spki' })
const hmacToken = (secret: string | Buffer) => {
  const text = `${encode({ alg: 'HS256', kid: 'access-1', typ: 'JWT' })}.${encode(good)}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}
const HEADER = { alg: 'RS256', kid: 'access-1', typ: 'JWT' }
const jwk = stranger.publicKey.export({ format: 'jwk' })
const strangers = (header: object) => {
  const text = `${encode(header)}.${encode(good)}`
  return `${text}.${sign('sha256', Buffer.from(text), stranger.privateKey).toString('base64url')}`
}

test('the good tokens of this file are good', () => {
  assert.equal(readAccess(token())?.iamId, 'iam-Profile-1')
  assert.equal(readAccess(withHeader(HEADER))?.account, ACCOUNT)
  assert.equal(readCompute(signJwt(goodCompute, 'cr+jwt', compute))?.componentName, 'j')
  assert.equal(readAccess(token({ nbf: SECONDS + 60 }))?.account, ACCOUNT)
})

const hostile: Readonly<Record<string, string>> = {
  'alg none without a signature': `${encode({ alg: 'none', kid: 'access-1', typ: 'JWT' })}.${encode(good)}.`,
  'alg none with a signature': withHeader({ ...HEADER, alg: 'none' }),
  'alg None': withHeader({ ...HEADER, alg: 'None' }),
  'HS256 keyed with our public key as PEM': hmacToken(publicPem),
  'HS256 keyed with our public key as DER': hmacToken(access.publicKey.export({ format: 'der', type: 'spki' })),
  'HS256 keyed with nothing': hmacToken(''),
  'alg RS512 over an RS256 signature': withHeader({ ...HEADER, alg: 'RS512' }),
  'alg PS256': withHeader({ ...HEADER, alg: 'PS256' }),
  'alg ES256 with an RSA key': withHeader({ ...HEADER, alg: 'ES256' }),
  'alg as a list': withHeader({ ...HEADER, alg: ['RS256'] }),
  'no alg': withHeader({ kid: 'access-1', typ: 'JWT' }),
  'a key of its own in jwk': strangers({ ...HEADER, jwk }),
  'a key of its own in jku': strangers({ ...HEADER, jku: 'https://evil.example/keys' }),
  'a certificate of its own in x5u': strangers({ ...HEADER, x5u: 'https://evil.example/cert' }),
  'a certificate of its own in x5c': strangers({ ...HEADER, x5c: ['MIIB'] }),
  'our kid over a stranger’s signature': strangers(HEADER),
  'an unknown kid': withHeader({ ...HEADER, kid: 'access-2' }),
  'a kid that is a path': withHeader({ ...HEADER, kid: '../../../../dev/null' }),
  'a kid that is a number': withHeader({ ...HEADER, kid: 1 }),
  'a kid that is __proto__': withHeader({ ...HEADER, kid: '__proto__' }),
  'no kid': withHeader({ alg: 'RS256', typ: 'JWT' }),
  crit: withHeader({ ...HEADER, crit: ['exp'] }),
  'b64 false': withHeader({ ...HEADER, b64: false }),
  'another typ': withHeader({ ...HEADER, typ: 'at+jwt' }),
  'no typ': withHeader({ alg: 'RS256', kid: 'access-1' }),
  'a compute resource token': signJwt(goodCompute, 'cr+jwt', compute),
  'access claims under the compute key': signJwt(good, 'JWT', compute),
  'a header that is a list': withHeader([HEADER]),
  'a header that is null': withHeader(null),
  'a header that is no JSON': withHeader('{"alg":"RS256"'),
  'a payload that is a list': withHeader(HEADER, [good]),
  'a payload that is no JSON': withHeader(HEADER, 'hello'),
  'an altered payload': `${token().split('.')[0]}.${encode({ ...good, iam_id: 'IBMid-OWNER', id: 'IBMid-OWNER' })}.${signatureOf(token())}`,
  'no signature': token().split('.').slice(0, 2).join('.'),
  'an empty signature': `${token().split('.').slice(0, 2).join('.')}.`,
  'a cut signature': token().slice(0, -4),
  'a fourth part': `${token()}.x`,
  'padding in the signature': `${token()}==`,
  'a line break at its end': `${token()}\n`,
  'a wrong issuer': token({ iss: 'https://iam.bluemix.net/identity' }),
  'the issuer with a slash': token({ iss: `${ISSUER}/` }),
  'the issuer in a list': token({ iss: [ISSUER] }),
  'no issuer': without('iss'),
  'an audience': token({ aud: AUDIENCE }),
  'exp passed this very second': token({ exp: SECONDS, iat: SECONDS - 3600 }),
  'exp as text': token({ exp: String(SECONDS + 3600) }),
  'exp in milliseconds': token({ exp: (SECONDS + 3600) * 1000 }),
  'exp beyond an hour': token({ exp: SECONDS + 3601 }),
  'exp null': token({ exp: null }),
  'exp with a fraction': token({ exp: SECONDS + 0.5 }),
  'no exp': without('exp'),
  'iat beyond the skew': token({ iat: SECONDS + 61, exp: SECONDS + 3000 }),
  'iat after exp': token({ iat: SECONDS + 50, exp: SECONDS + 40 }),
  'iat as text': token({ iat: String(SECONDS) }),
  'no iat': without('iat'),
  'nbf beyond the skew': token({ nbf: SECONDS + 61 }),
  'nbf as text': token({ nbf: 'now' }),
  'no iam_id': without('iam_id'),
  'iam_id in a list': token({ iam_id: ['iam-Profile-1'] }),
  'an id unlike iam_id': token({ id: 'IBMid-OWNER' }),
  'no account': without('account'),
  'an account that is text': token({ account: ACCOUNT }),
  'an account id that is a list': token({ account: { bss: [ACCOUNT] } }),
  'an account id of another form': token({ account: { bss: '../x' } }),
  'more than 8 KiB': token({ x: 'x'.repeat(8192) }),
  nothing: '',
  'two dots': '..',
}

/** A good token of exactly so many bytes. Not every length of base64url exists, so a part of it may be in the header. */
function tokenOf(bytes: number): string {
  const signature = signatureOf(token()).length
  for (const header of ['', 'h', 'hh'].map((x) => ({ ...HEADER, x })))
    for (let room = Math.floor(bytes * 0.6); room < bytes; room++) {
      const claims = { ...good, x: 'x'.repeat(room) }
      if (encode(header).length + encode(claims).length + signature + 2 === bytes) return withHeader(header, claims)
    }
  throw new Error(`no token has ${bytes} bytes`)
}

for (const [bytes, taken] of [
  [8_192, true],
  [8_193, false],
] as const)
  test(`a good access token of ${bytes} bytes is ${taken ? 'taken' : 'refused unread'}`, () => {
    const text = tokenOf(bytes)
    assert.equal(text.length, bytes)
    assert.equal(readAccess(text)?.account, taken ? ACCOUNT : undefined)
  })

for (const [what, text] of Object.entries(hostile)) test(`an access token with ${what} is refused`, () => assert.equal(readAccess(text), undefined))

for (const [what, text] of Object.entries({
  'that is an access token': token(),
  'under the access key': signJwt(goodCompute, 'cr+jwt', access),
  'with typ JWT': signJwt(goodCompute, 'JWT', compute),
  'for another audience': signJwt({ ...goodCompute, aud: 'https://evil.example' }, 'cr+jwt', compute),
  'with a list for an audience': signJwt({ ...goodCompute, aud: [AUDIENCE] }, 'cr+jwt', compute),
  'from another issuer': signJwt({ ...goodCompute, iss: ISSUER }, 'cr+jwt', compute),
  'that has expired': signJwt({ ...goodCompute, iat: SECONDS - 3600, exp: SECONDS }, 'cr+jwt', compute),
  'with a component name that is a list': signJwt({ ...goodCompute, component_name: ['j'] }, 'cr+jwt', compute),
  'without issued_at_ms': signJwt({ ...goodCompute, issued_at_ms: undefined }, 'cr+jwt', compute),
}))
  test(`a compute resource token ${what} is refused`, () => assert.equal(readCompute(text), undefined))

test('a good token of a service account is taken', () => assert.equal(readAccount(signJwt(goodAccount, 'sa+jwt', compute))?.projectId, 'p'))

for (const [what, text] of Object.entries({
  'that is an access token': token(),
  'that is a compute resource token': signJwt(goodCompute, 'cr+jwt', compute),
  'under the access key': signJwt(goodAccount, 'sa+jwt', access),
  'with the typ of compute resource tokens': signJwt(goodAccount, 'cr+jwt', compute),
  'for another audience': signJwt({ ...goodAccount, aud: AUDIENCE }, 'sa+jwt', compute),
  'with a list for an audience': signJwt({ ...goodAccount, aud: [CLUSTER] }, 'sa+jwt', compute),
  'from another issuer': signJwt({ ...goodAccount, iss: ISSUER }, 'sa+jwt', compute),
  'that has expired': signJwt({ ...goodAccount, iat: SECONDS - 3600, exp: SECONDS }, 'sa+jwt', compute),
  'of more than an hour': signJwt({ ...goodAccount, exp: SECONDS + 3601 }, 'sa+jwt', compute),
  'of an account that is not there': signJwt({ ...goodAccount, service_account: 'owner' }, 'sa+jwt', compute),
  'of an account named like a member of objects': signJwt({ ...goodAccount, service_account: 'constructor' }, 'sa+jwt', compute),
  'without a project': signJwt({ ...goodAccount, project_id: undefined }, 'sa+jwt', compute),
  'without issued_at_ms': signJwt({ ...goodAccount, issued_at_ms: undefined }, 'sa+jwt', compute),
  nothing: '',
}))
  test(`a token of a service account ${what} is refused`, () => assert.equal(readAccount(text), undefined))

test('the token of a service account is no access token and no compute resource token', () => {
  const text = signJwt(goodAccount, 'sa+jwt', compute)
  assert.deepEqual([readAccess(text), readCompute(text)], [undefined, undefined])
})
