import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { type Bundle, chainMaker } from '../support/certificates.ts'
import { deploy, webApp } from '../support/pipeline.ts'
import { eventually, freshHome, type Running, startPlatform } from '../support/platform.ts'
import { servedLeaf } from '../support/tls.ts'
import { ask, dial, talk } from './wire.ts'

const HOST = 'shop.example.com'
const OTHER = 'other.example.com'
const home = freshHome()
let platform: Running
let project: string
let maker: Awaited<ReturnType<typeof chainMaker>>
let first: Bundle
let second: Bundle

before(async () => {
  platform = await startPlatform(home)
  project = `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
  maker = await chainMaker()
  first = await maker.leaf([HOST])
  second = await maker.leaf([HOST])
  await deploy(platform, 'shop', webApp(`response.end('shop')`), { scale_max_instances: 1, scale_min_instances: 1 })
  await map(HOST, 'shop-tls', first)
  await map(OTHER, 'other-tls', await maker.leaf([OTHER]))
  await eventually('the mapping', async () => (await servedLeaf(HOST, platform.ports.public).catch(() => '')) === first.fingerprint)
  await eventually('the other mapping', async () => (await ask(platform.ports.public, { sni: OTHER, host: OTHER })).status === 200)
})
after(async () => {
  await platform.stop()
  home[Symbol.dispose]()
})

const data = ({ certificate, intermediate, privateKey }: Bundle) => ({ tls_cert: certificate + intermediate, tls_key: privateKey })
async function map(host: string, secret: string, bundle: Bundle): Promise<void> {
  const made = await platform.api('POST', `${project}/secrets`, { name: secret, format: 'tls', data: data(bundle) })
  assert.equal(made.status, 201, made.text)
  const component = { name: 'shop', resource_type: 'app_v2' }
  const mapped = await platform.api('POST', `${project}/domain_mappings`, { name: host, component, tls_secret: secret })
  assert.equal(mapped.status, 201, mapped.text)
}

type Seen = { readonly leaf: string; readonly isReused: boolean; readonly sessions: readonly Buffer[] }
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const
type Version = (typeof VERSIONS)[number]

/** A client that keeps every session it is given, and offers one it has. It asks for a page, so that tickets have had time to come. */
function visit(host: string, version: Version, session?: Buffer): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const sessions: Buffer[] = []
    const socket: TLSSocket = connect({
      ...{ host: '127.0.0.1', port: platform.ports.public, servername: host, rejectUnauthorized: false, minVersion: version, maxVersion: version },
      ...(session === undefined ? {} : { session }),
    })
    let leaf = ''
    let isReused = false
    socket.on('session', (one: Buffer) => sessions.push(one))
    socket.on('secureConnect', () => {
      leaf = createHash('sha256')
        .update(socket.getPeerCertificate().raw ?? '')
        .digest('hex')
      isReused = socket.isSessionReused()
      const current = socket.getSession()
      if (version === 'TLSv1.2' && current !== undefined) sessions.push(current)
      socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    })
    socket.on('close', () => resolve({ leaf, isReused, sessions }))
    socket.on('error', reject)
    socket.resume()
  })
}

for (const version of VERSIONS) {
  test(`a client that resumes sees the new certificate after a swap: ${version}`, async () => {
    const secret = `${project}/secrets/shop-tls`
    const put = async (bundle: Bundle) => {
      const { body } = await platform.api('GET', secret)
      const { status, text } = await platform.api('PUT', secret, { format: 'tls', data: data(bundle) }, { 'if-match': String(body.entity_tag) })
      assert.equal(status, 200, text)
      await eventually('the swap', async () => (await servedLeaf(HOST, platform.ports.public)) === bundle.fingerprint)
    }
    await put(first)
    const before = await visit(HOST, version)
    assert.equal(before.leaf, first.fingerprint)
    await put(second)
    for (const session of before.sessions) {
      const seen = await visit(HOST, version, session)
      assert.deepEqual([seen.leaf, seen.isReused], [second.fingerprint, false])
    }
    assert.equal((await visit(HOST, version)).leaf, second.fingerprint)
  })

  test(`a session of one host opens no other: ${version}`, async () => {
    const { sessions } = await visit(OTHER, version)
    for (const session of sessions) assert.equal((await visit(HOST, version, session).catch(() => ({ isReused: false }))).isReused, false)
  })
}

test('old protocols and weak ciphers are refused', async () => {
  const handshake = (options: ConnectionOptions) =>
    new Promise<string>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port: platform.ports.public, servername: HOST, rejectUnauthorized: false, ...options })
      socket.on('secureConnect', () => {
        resolve(`${socket.getProtocol()} ${socket.getCipher().name}`)
        socket.destroy()
      })
      socket.on('error', () => resolve('refused'))
    })
  const weak = [
    { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' },
    { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
    { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA:@SECLEVEL=0' },
    { maxVersion: 'TLSv1.2', ciphers: 'AES256-GCM-SHA384:@SECLEVEL=0' },
    { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0' },
    { maxVersion: 'TLSv1.2', ciphers: 'eNULL:aNULL:@SECLEVEL=0' },
  ] as const
  for (const options of weak) assert.equal(await handshake(options).catch(() => 'refused'), 'refused', JSON.stringify(options))
  assert.match(await handshake({ maxVersion: 'TLSv1.2' }), /^TLSv1\.2 ECDHE-/)
})

test('bytes that are no handshake, and handshakes with hostile names, end their own connection and nothing else', async () => {
  const noise = [
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    '\x16\x03\x01\xff\xff',
    '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00',
    '\x80\x2e\x01\x00\x02',
    '\0'.repeat(70_000),
  ]
  const heard = await Promise.all(noise.map((bytes) => talk(dial(platform.ports.public), Buffer.from(bytes, 'latin1'))))
  for (const { statuses } of heard) assert.deepEqual(statuses, [])
  for (const name of ['x'.repeat(255), 'a\0b', '../etc', '__proto__', 'constructor', 'xn--', '*', '*.example.com', '.', 'shop.example.com.'])
    await ask(platform.ports.public, { sni: name, host: HOST }).catch(() => undefined)
  assert.equal((await ask(platform.ports.public, { sni: HOST, host: HOST })).status, 200)
})

test('a name that nobody serves gets the certificate of the platform, never a tenant’s', async () => {
  const tenants = new Set([first.fingerprint, second.fingerprint, await servedLeaf(OTHER, platform.ports.public)])
  for (const name of ['unknown.example.com', 'example.com', 'x.shop.example.com', 'shop.example.com.evil.com', '__proto__'])
    assert.ok(!tenants.has(await servedLeaf(name, platform.ports.public)), name)
})
