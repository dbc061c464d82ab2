import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { createAuthority, issueLeaf } from '@everleaf/pki/issue'
import { createWorld } from '@everleaf/world'
import { runCertificate } from '../src/certificate/program.ts'
import { WrongUse } from '../src/home.ts'
import { createTerminal, silentTerminal } from '../src/terminal.ts'

const world = createWorld()
const folder = mkdtempSync(join(tmpdir(), 'everleaf-ready-'))
after(() => rmSync(folder, { recursive: true }))
const DAY_MS = 86_400_000
const now = world.now()
const root = await createAuthority({ name: 'Ready root', now, lifeMs: 900 * DAY_MS })
const authority = await createAuthority({ name: 'Ready', parent: root, now, lifeMs: 60 * DAY_MS })
const leaf = await issueLeaf({ authority, names: ['127.0.0.1', 'shop.example.com'], now, lifeMs: 30 * DAY_MS })
const long = await issueLeaf({ authority, names: ['long.example.com'], now, lifeMs: 300 * DAY_MS })
const fileOf = (name: string, text: string) => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const good = fileOf('good.pem', leaf.certificate + authority.certificate)

async function readiness(...words: readonly string[]) {
  let text = ''
  const write = (part: string) => void (text += part)
  const isJson = words.includes('--json')
  const terminal = isJson ? silentTerminal() : createTerminal({ write, isTerminal: false, nowMs: () => 0 })
  const fit = await runCertificate(['readiness', ...words], { world, terminal, write, home: join(folder, 'nowhere') })
  return { fit, text, ...(isJson ? JSON.parse(text) : {}) }
}

async function listening(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

test('readiness says what is left of a host and of a file, when each is due, and that the issuer was not asked', async (t) => {
  const port = await listening(t, createTlsServer({ cert: leaf.certificate + authority.certificate, key: leaf.privateKey }))
  const { fit, certificates } = await readiness(`127.0.0.1:${port}`, '--file', good, '--json')
  assert.equal(fit, true)
  for (const one of certificates)
    assert.deepEqual(
      [one.fingerprint, one.days_left, one.is_due, one.over_limit, one.weaknesses, one.ari],
      [leaf.fingerprint, 29, false, false, [], { asked: false }],
    )
  assert.equal(certificates.length, 2)
  assert.match((await readiness('--file', good)).text, /SC-081v3[^]*not asked for: --ari URL/)
})

test('readiness names a life that is longer than public ones may be, and an issuer that ends first', async () => {
  const { fit, certificates } = await readiness(
    '--file',
    fileOf('long.pem', long.certificate + authority.certificate),
    '--json',
    '--at',
    '2027-01-10T00:00:00Z',
  )
  assert.equal(fit, false)
  assert.deepEqual([certificates[0].over_limit, certificates[0].limit_days, certificates[0].weaknesses], [true, 200, ['issuer-ends-first']])
})

test('readiness is not fit where a certificate is due, and where a host does not answer', async () => {
  const later = new Date(now.getTime() + 25 * DAY_MS).toISOString()
  const due = await readiness('--file', good, '--json', '--at', later)
  assert.deepEqual([due.fit, due.certificates[0].is_due], [false, true])
  const gone = await readiness('127.0.0.1:1', '--json')
  assert.deepEqual([gone.fit, gone.certificates, gone.failed[0].source], [false, [], '127.0.0.1:1'])
})

test('the timeline is well-formed whatever names it is given', { skip: hasPython() ? false : 'no python3 here, whose XML reader judges' }, async () => {
  const odd = await createAuthority({ name: `<script>alert("&")</script>]]>'\u0007`, now, lifeMs: 40 * DAY_MS })
  const svg = join(folder, 'timeline.svg')
  await readiness('--file', good, '--file', fileOf('<&"odd>.pem', odd.certificate), '--svg', svg)
  const text = readFileSync(svg, 'utf8')
  assert.doesNotMatch(text, /<script|\u0007/)
  const read = spawnSync('python3', ['-c', 'import sys, xml.dom.minidom as x; print(x.parse(sys.argv[1]).documentElement.tagName)', svg], { encoding: 'utf8' })
  assert.equal(read.stdout, 'svg\n', read.stderr)
})

test("readiness asks the issuer's window by RFC 9773 where it is told to, and says where there is none", async (t) => {
  const asked: string[] = []
  let hasAri = true
  const server = createHttpServer(({ url = '' }, response) => {
    asked.push(url)
    const window = { start: '2026-12-10T00:00:00Z', end: '2026-12-12T00:00:00Z' }
    response.end(JSON.stringify(url === '/directory' ? (hasAri ? { renewalInfo: `${base}/ari/` } : {}) : { suggestedWindow: window }))
  })
  const base = `http://127.0.0.1:${await listening(t, server)}`
  const first = await readiness('--file', good, '--ari', `${base}/directory`, '--json')
  assert.deepEqual(first.certificates[0].ari, { asked: true, start: '2026-12-10T00:00:00.000Z', end: '2026-12-12T00:00:00.000Z' })
  // The identifier of the issuer's key and the serial number, as bytes.
  assert.match(asked[1] ?? '', /^\/ari\/[\w-]{27}\.[\w-]{10,}$/)
  hasAri = false
  const second = await readiness('--file', good, '--ari', `${base}/directory`, '--json')
  assert.deepEqual(second.certificates[0].ari, { asked: true, none: 'this issuer offers no renewal information' })
  world.http.close()
})

test('readiness refuses an issuer without TLS, and without host and file asks for a platform', async () => {
  await assert.rejects(readiness('--file', good, '--ari', 'http://acme.example.com/directory'), WrongUse)
  await assert.rejects(readiness(), /No platform is running/)
})

function hasPython(): boolean {
  return spawnSync('python3', ['--version']).status === 0
}
