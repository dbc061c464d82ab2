import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { connect as connectTls, createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { createAuthority, issueLeaf } from '@everleaf/pki/issue'
import { createWorld } from '@everleaf/world'
import { runCertificate } from '../src/certificate/program.ts'
import { silentTerminal } from '../src/terminal.ts'

const world = createWorld()
const folder = mkdtempSync(join(tmpdir(), 'everleaf-look-'))
after(() => rmSync(folder, { recursive: true }))
const HOST = 'shop.example.com'
const DAY_MS = 86_400_000
const life = { now: world.now(), lifeMs: 30 * DAY_MS }
const root = await createAuthority({ name: 'Look root', ...life })
const authority = await createAuthority({ name: 'Look', parent: root, ...life })
const one = await issueLeaf({ authority, names: [HOST], ...life })
const two = await issueLeaf({ authority, names: [HOST], ...life, lifeMs: 20 * DAY_MS })
const pair = (leaf: { certificate: string; privateKey: string }) => ({ cert: leaf.certificate + authority.certificate, key: leaf.privateKey })
const fileOf = (name: string, text: string) => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const rootFile = fileOf('root.pem', root.certificate)

async function listening(t: TestContext, server: Server, address = '127.0.0.1', port = 0): Promise<number> {
  const open = new Set<{ destroy(): void }>()
  server.on('connection', (socket) => {
    socket.on('error', () => {}) // the far side may go at any moment
    open.add(socket)
  })
  server.listen(port, address)
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of open) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

const tlsServer = (t: TestContext, options: TlsOptions, address?: string, port?: number) =>
  listening(
    t,
    createTlsServer(options).on('tlsClientError', () => {}),
    address,
    port,
  )

type Found = { code: string; message: string; mend: string; seen?: string[] }
type Report = {
  fit: boolean
  served: { looks: { address: string; version: string; fingerprint?: string; fault?: string }[]; faults: Found[]; warnings: Found[] }
}

async function check(port: number, ...words: readonly string[]): Promise<Report & { codes: string[]; warned: string[] }> {
  let text = ''
  const around = { world, terminal: silentTerminal(), write: (part: string) => void (text += part), home: join(folder, 'nowhere') }
  const connectTo = words.includes('--connect') ? [] : ['--connect', `127.0.0.1:${port}`]
  await runCertificate(['check', '--url', HOST, ...connectTo, '--trust', rootFile, '--json', ...words], around)
  const report = JSON.parse(text)
  const codes = (list: Found[]) => list.map(({ code }) => code).filter((code, i, all) => all.indexOf(code) === i)
  return { ...report, codes: codes(report.served.faults), warned: codes(report.served.warnings) }
}

test('what is served by both versions of TLS is fit', async (t) => {
  const { fit, served, warned } = await check(await tlsServer(t, pair(one)))
  assert.deepEqual(
    served.looks.map(({ version, fingerprint }) => [version, fingerprint]),
    [
      ['TLSv1.2', one.fingerprint],
      ['TLSv1.3', one.fingerprint],
    ],
  )
  assert.deepEqual([fit, served.faults, warned.includes('served-differs')], [true, [], false])
})

test('a certificate that is not the one of the file is a fault, and the one of the file is none', async (t) => {
  const port = await tlsServer(t, pair(one))
  const other = await check(port, fileOf('two.pem', two.certificate + authority.certificate))
  assert.deepEqual([other.fit, other.codes], [false, ['not-the-file']])
  assert.match(other.served.faults[0]?.message ?? '', new RegExp(`${one.fingerprint.slice(0, 16)}.*${two.fingerprint.slice(0, 16)}`))
  assert.equal((await check(port, fileOf('one.pem', authority.certificate + one.certificate))).fit, true)
})

test('different certificates by TLS 1.2 and 1.3 are named, and where each is served', async (t) => {
  const [old, current] = [await tlsServer(t, { ...pair(one), maxVersion: 'TLSv1.2' }), await tlsServer(t, { ...pair(two), minVersion: 'TLSv1.3' })]
  // supported_versions with TLS 1.3 alone.
  const asksFor13 = (hello: Buffer) => hello.includes(Buffer.from('002b0003020304', 'hex'))
  const front = createServer((socket) =>
    socket.once('data', (hello: Buffer) => {
      const far = connect(asksFor13(hello) ? current : old, '127.0.0.1')
      far.on('error', () => socket.destroy())
      socket.on('close', () => far.destroy())
      far.write(hello)
      socket.pipe(far).pipe(socket)
    }),
  )
  const { fit, served, warned } = await check(await listening(t, front))
  assert.deepEqual([fit, warned.includes('served-differs')], [true, true])
  assert.deepEqual(
    served.looks.map(({ fingerprint }) => fingerprint),
    [one.fingerprint, two.fingerprint],
  )
  assert.match(served.warnings.find(({ code }) => code === 'served-differs')?.message ?? '', /TLS 1\.2.*TLS 1\.3/)
})

const hasV6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'))
test(
  'different certificates by IPv4 and IPv6 are named, and one that has expired is a fault of its family alone',
  { skip: hasV6 ? false : 'no ::1 here' },
  async (t) => {
    const old = await issueLeaf({ authority, names: [HOST], ...life, odd: { shiftMs: -40 * DAY_MS } })
    const port = await tlsServer(t, pair(one), '127.0.0.1')
    await tlsServer(t, pair(old), '::1', port)
    const { fit, served, codes, warned } = await check(port, '--connect', `127.0.0.1:${port}`, '--connect', `[::1]:${port}`)
    assert.deepEqual([fit, codes, warned.includes('served-differs')], [false, ['expired'], true])
    assert.deepEqual(served.faults[0]?.seen, ['::1, TLS 1.2', '::1, TLS 1.3'])
  },
)

test('a server that sends its certificate alone is told what browsers hide, and how to mend it', async (t) => {
  const port = await tlsServer(t, { cert: one.certificate, key: one.privateKey })
  // What curl does: it fails with the root that a browser would manage with.
  const socket = connectTls({ host: '127.0.0.1', port, servername: HOST, ca: root.certificate })
  const [error] = await once(socket, 'error')
  assert.equal(error.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  const { fit, served } = await check(port)
  assert.equal(fit, false)
  const missing = served.faults.find(({ code }) => code === 'missing-intermediate')
  assert.match(`${missing?.message} ${missing?.mend}`, /browsers.*curl.*fail.*cat server\.pem intermediate\.pem/)
})

for (const [what, leaf, code] of [
  ['has expired', await issueLeaf({ authority, names: [HOST], ...life, odd: { shiftMs: -40 * DAY_MS } }), 'expired'],
  ['names another host', await issueLeaf({ authority, names: ['other.example.com'], ...life }), 'host-not-covered'],
  ['has a weak key', await issueLeaf({ authority, names: [HOST], ...life, algorithm: 'rsa', odd: { rsaBits: 1024 } }), 'weak-rsa-key'],
] as const)
  test(`a served certificate that ${what} is ${code}`, async (t) => {
    assert.deepEqual((await check(await tlsServer(t, { ...pair(leaf), ciphers: 'DEFAULT@SECLEVEL=0' }))).codes, [code])
  })

test('a version of TLS that is not served is a note, the other one is judged', async (t) => {
  const { fit, served, warned } = await check(await tlsServer(t, { ...pair(one), minVersion: 'TLSv1.3' }))
  assert.deepEqual([fit, warned.includes('version-missing'), served.looks.map(({ fault }) => fault)], [true, true, ['tls-refused', undefined]])
})

for (const [what, behave, code] of [
  ['speaks http', (socket: NodeJS.WritableStream) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), 'not-tls'],
  ['greets as mail servers do and waits', (socket: NodeJS.WritableStream) => socket.write('220 mail.example.com ESMTP\r\n'), 'not-tls'],
  ['closes at once', (socket: { destroy(): void }) => socket.destroy(), 'closed'],
  ['hangs', () => {}, 'silent'],
] as const)
  test(`a server that ${what} is ${code}, within the limit`, async (t) => {
    const port = await listening(t, createServer(behave as (socket: unknown) => void))
    const began = performance.now()
    const { fit, codes } = await check(port, '--timeout', '0.5')
    assert.deepEqual([fit, codes], [false, [code]])
    assert.ok(performance.now() - began < 3000)
  })

test('a port where nobody listens is unreachable, a name without address has none', async (t) => {
  const server = createServer()
  const port = await listening(t, server)
  server.close()
  await once(server, 'close')
  assert.deepEqual((await check(port)).codes, ['unreachable'])
  assert.deepEqual((await check(port, '--connect', 'none.invalid')).codes, ['no-address'])
})

test("a certificate that belongs to no chain is seen on TLS 1.2's wire, where OpenSSL serves it", { skip: !hasOpenssl() && 'no openssl here' }, async (t) => {
  const stranger = await createAuthority({ name: 'Stranger', ...life })
  const chain = fileOf('chain.pem', authority.certificate + stranger.certificate)
  const [cert, key] = [fileOf('leaf.pem', one.certificate), fileOf('key.pem', one.privateKey)]
  const words = ['s_server', '-accept', '127.0.0.1:0', '-cert', cert, '-key', key, '-cert_chain', chain, '-quiet']
  const server = spawn(
    'openssl',
    words.filter((word) => word !== '-quiet'),
  )
  t.after(() => server.kill())
  let said = ''
  const port = await new Promise<number>((resolve) =>
    server.stdout.on('data', (data) => {
      said += data
      const found = /ACCEPT [\d.]+:(\d+)/.exec(said)?.[1]
      if (found !== undefined) resolve(Number(found))
    }),
  )
  const { served, codes } = await check(port)
  assert.ok(codes.includes('unrelated-certificate'), JSON.stringify(served))
})

for (const [what, words, says] of [
  ['http:', ['--url', 'http://shop.example.com'], /speaks no TLS/],
  ['a port that is none', ['--url', 'shop.example.com:70000'], /is no host and port/],
  ['no host', ['--url', ':443'], /is no host and port/],
  ['a time limit that is none', ['--url', HOST, '--timeout', 'soon'], /soon is no number of seconds/],
  ['--connect without --url', [rootFile, '--connect', '127.0.0.1'], /go with --url/],
  ['a key without files', ['--url', HOST, '--key', rootFile], /are about files/],
  ['an option that is mistyped', ['--urll', HOST], /There is no option --urll\. Did you mean --url\?/],
  ['neither files nor --url', [], /Say what to check/],
] satisfies readonly (readonly [what: string, words: readonly string[], says: RegExp])[])
  test(`certificate check ends with 2 for ${what}`, () => {
    const { status, stderr } = command(['check', ...words])
    assert.equal(status, 2, stderr)
    assert.match(stderr, /^everleaf: ./)
    assert.match(stderr, says)
  })

test('certificate check --url ends with 1 where nothing answers, and says so in words', () => {
  const { status, stdout } = command(['check', '--url', HOST, '--connect', '127.0.0.1:1', '--timeout', '2'])
  assert.equal(status, 1)
  assert.match(stdout, /served at shop\.example\.com:443\n {2}127\.0\.0\.1 {2}TLS 1\.2 {2}unreachable[^]*what is served is not fit/)
})

test('certificate --help and certificate check --help are answers', () => {
  assert.deepEqual([command(['--help']).status, command(['check', '--help']).status, command([]).status, command(['chek']).status], [0, 0, 2, 2])
  assert.match(command(['check', '--help']).stdout, /--url <host\[:port\]>/)
})

function command(words: readonly string[]) {
  return spawnSync(process.execPath, [join(import.meta.dirname, '../src/main.ts'), 'certificate', ...words], {
    encoding: 'utf8',
    env: { ...process.env, NODE_NO_WARNINGS: '1', EVERLEAF_HOME: join(folder, 'nowhere') },
    timeout: 20_000,
  })
}

function hasOpenssl(): boolean {
  return spawnSync('openssl', ['version']).status === 0
}
