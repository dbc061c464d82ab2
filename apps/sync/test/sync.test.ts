import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { computeResourceAuthenticator } from '@everleaf/clients'
import { type Authority, createAuthority, issueLeaf } from '@everleaf/pki/issue'
import { createNodeHttp, createWorld, jsonLog, Secret } from '@everleaf/world'
import type { RenewalState } from '../src/decide-renewal.ts'
import { createSyncServer } from '../src/server.ts'
import { createSync } from '../src/sync.ts'
import { FarSide, PROJECT, type Version } from './far-side.ts'

const HEADER = 'a-long-random-header-value'
const DAY_MS = 86_400_000
const now = new Date()
let root: Authority
let issuer: Authority

before(async () => {
  root = await createAuthority({ name: 'Root', now, lifeMs: 900 * DAY_MS })
  issuer = await createAuthority({ name: 'Issuer', now, lifeMs: 800 * DAY_MS, parent: root })
})

type Leaf = { version: Version; pair: { tls_cert: string; tls_key: string }; fingerprint: string }
let versions = 0

async function leaf(host: string, { days = 90, shiftDays = 0 }: { days?: number; shiftDays?: number } = {}): Promise<Leaf> {
  const made = await issueLeaf({ authority: issuer, names: [host], now, lifeMs: days * DAY_MS, odd: { shiftMs: shiftDays * DAY_MS } })
  versions++
  const version = {
    id: `00000000-0000-4000-8000-${String(versions).padStart(12, '0')}`,
    created_at: new Date(now.getTime() + versions * 1000).toISOString(),
    certificate: made.certificate,
    intermediate: issuer.certificate,
    private_key: made.privateKey,
  }
  return { version, pair: { tls_cert: made.certificate + issuer.certificate, tls_key: made.privateKey }, fingerprint: made.fingerprint }
}

const secretId = (at: number) => `aaaaaaaa-0000-4000-8000-${String(at).padStart(12, '0')}`
const eventOf = (ids: readonly string[], id = 'event-1') => ({
  specversion: '1.0',
  id,
  source: 'crn:v1:bluemix:public:secrets-manager:eu-es:a/acc:guid::',
  type: 'com.ibm.cloud.secrets-manager.secret_rotated',
  data: { secrets: ids.map((secret_id) => ({ secret_id, secret_name: 'name' })) },
})

/** Sync and its far side, both listening; `count` renewals whose targets hold the first leaf and whose secrets have both. */
async function stage(
  options: {
    count?: number
    next?: { days?: number; shiftDays?: number; host?: string }
    site?: { delayMs?: number; frozen?: boolean }
    proofLimitMs?: number
    answerMs?: number
    /** Called at each crash point. */
    passes?: (point: string) => void
  } = {},
) {
  const { count = 1 } = options
  const far = await new FarSide().start()
  const old = await leaf('site.test', { days: 30, shiftDays: -1 })
  const fresh = await leaf(options.next?.host ?? 'site.test', options.next)
  const renewals = []
  for (let at = 0; at < count; at++) {
    far.secrets.set(secretId(at), { name: `cert-${at}`, type: 'imported_cert', group: 'default', labels: [], versions: [old.version, fresh.version] })
    far.putSecret(`tls-${at}`, old.pair)
    const port = await far.site(`tls-${at}`, options.site)
    renewals.push({ name: `r${at}`, source: { id: secretId(at) }, target: `tls-${at}`, probes: [{ host: 'site.test', port, connect: '127.0.0.1' }] })
  }
  far.putConfigMap('sync-renewals', { 'renewals.json': JSON.stringify({ version: 1, renewals }) })
  const folder = await mkdtemp(join(tmpdir(), 'sync-'))
  await writeFile(join(folder, 'token'), 'canary-compute-token')
  const lines: string[] = []
  const log = jsonLog((line) => void lines.push(line), { now: () => new Date(), level: 'debug' })
  const world = { ...createWorld({ http: createNodeHttp(), log }), crashPoint: options.passes ?? (() => {}) }
  const auth = computeResourceAuthenticator({ world, iamUrl: `${far.url}/iam`, profile: { name: 'sync' }, tokenFile: join(folder, 'token') })
  const sync = createSync({
    world,
    auth,
    config: {
      secretsManagerUrl: `${far.url}/sm`,
      codeEngineUrl: `${far.url}/ce/v2`,
      project: PROJECT,
      app: 'sync',
      single: undefined,
      proofLimitMs: options.proofLimitMs ?? 5_000,
      answerMs: options.answerMs ?? 4_000,
    },
  })
  const server = createSyncServer({ ...sync.deps, sweep: () => sync.sweep(), headerName: 'auth-sm-tls-sync', headerValue: new Secret(HEADER) })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return {
    far,
    old,
    fresh,
    lines,
    sync,
    world,
    async post(body: unknown, headers: Record<string, string> = { 'auth-sm-tls-sync': HEADER }, path = '') {
      const answer = await world.http.request({ method: 'POST', url: url + path, headers, body: typeof body === 'string' ? body : JSON.stringify(body) })
      return {
        status: answer.status,
        retryAfter: answer.headers['retry-after'],
        body: JSON.parse(Buffer.from(answer.body).toString()) as { secrets?: { result: string; reasons?: string[] }[]; error?: string },
      }
    },
    state: (at = 0) => JSON.parse(far.configMaps.get('sync-state')?.data[`r${at}`] ?? 'null') as RenewalState | null,
    target: (at = 0) => far.ceSecrets.get(`tls-${at}`)?.data,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await sync.deps.flights.settled()
      world.http.close()
      await far[Symbol.asyncDispose]()
      await rm(folder, { recursive: true })
    },
  }
}

test('a rotated certificate is replaced, proven and answered with 201; the same event then with 200', async () => {
  await using on = await stage()
  const first = await on.post(eventOf([secretId(0)]))
  assert.equal(first.status, 201)
  assert.deepEqual(on.target(), on.fresh.pair)
  const state = on.state()
  assert.equal(state?.state, 'fresh')
  assert.equal(state?.in_place, on.fresh.fingerprint)
  assert.equal(state?.last_good, on.old.fingerprint)
  const puts = on.far.calls.filter((call) => call.startsWith('PUT')).length
  const second = await on.post(eventOf([secretId(0)]))
  assert.equal(second.status, 200)
  assert.equal(on.far.calls.filter((call) => call.startsWith('PUT')).length, puts)
})

/** The crash points of one rotation, in their order; the two reads are side by side. */
const READS = ['sync.secret-read', 'sync.target-read']
const POINTS = [
  'sync.event-parsed',
  ...READS,
  'sync.chain-built',
  'sync.verified',
  'sync.write-sent',
  'sync.write-answered',
  'sync.read-back',
  'sync.answer-sent',
]

test('a rotation passes every crash point of sync once, in their order', async () => {
  const passed: string[] = []
  await using on = await stage({ passes: (point) => void passed.push(point) })
  assert.equal((await on.post(eventOf([secretId(0)]))).status, 201)
  const [first, second] = passed.splice(1, 2)
  assert.deepEqual([first, second].sort(), READS)
  assert.deepEqual(
    passed,
    POINTS.filter((point) => !READS.includes(point)),
  )
})

for (const [what, path, last] of [
  ['reads the secret but hangs at the target', `GET secrets/tls-0`, 'sync.secret-read'],
  ['reads the target but hangs at the secret', `GET versions/current`, 'sync.target-read'],
  ['sends its write and gets no answer', 'PUT secrets/tls-0', 'sync.write-sent'],
] as const) {
  test(`a rotation that ${what} passes ${last} and no point behind it`, async () => {
    const passed: string[] = []
    await using on = await stage({ answerMs: 1_500, passes: (point) => void passed.push(point) })
    const [method, end] = path.split(' ') as [string, string]
    on.far.fault = (call) => (call.method === method && call.path.endsWith(end) ? 'hang' : undefined)
    const answered = on.post(eventOf([secretId(0)]))
    while (!passed.includes(last)) await on.world.sleep(5)
    await on.world.sleep(50)
    assert.equal(passed.at(-1), last)
    on.far.letGo()
    await answered
  })
}

test('a write that never leaves passes no sync.write-sent', async () => {
  const passed: string[] = []
  await using on = await stage({ passes: (point) => void passed.push(point) })
  const { request } = on.world.http
  on.world.http.request = (asked) => (asked.method === 'PUT' && asked.url.endsWith('secrets/tls-0') ? Promise.reject(new Error('refused')) : request(asked))
  assert.equal((await on.post(eventOf([secretId(0)]))).status, 503)
  assert.ok(passed.includes('sync.verified') && !passed.includes('sync.write-sent'), passed.join())
})

test('an id at the end of a CRN works as a plain one', async () => {
  await using on = await stage()
  const crn = `crn:v1:bluemix:public:secrets-manager:eu-es:a/acc:guid:secret:${secretId(0)}`
  assert.equal((await on.post(eventOf([crn]))).status, 201)
})

test('100 secrets in one event are all replaced and proven', async () => {
  await using on = await stage({ count: 100, answerMs: 9_000 })
  const all = Array.from({ length: 100 }, (_, at) => at)
  let { status } = await on.post(eventOf(all.map(secretId)))
  // A busy machine may not be done within one answer; a delivery is made again then.
  for (let tries = 1; (status === 503 || status === 202) && tries < 5; tries++) status = (await on.post(eventOf(all.map(secretId)))).status
  assert.ok(status === 200 || status === 201, String(status))
  assert.deepEqual(new Set(all.map((at) => on.state(at)?.state)), new Set(['fresh']))
  assert.equal(on.far.calls.filter((call) => call.startsWith('PUT') && /tls-\d+$/.test(call)).length, 100, 'each was written once')
})

test('one event delivered three times at once is worked on once', async () => {
  await using on = await stage({ site: { delayMs: 100 } })
  const answers = await Promise.all([1, 2, 3].map(() => on.post(eventOf([secretId(0)]))))
  assert.deepEqual(
    answers.map(({ status }) => status),
    [201, 201, 201],
  )
  assert.equal(on.far.calls.filter((call) => call.startsWith('PUT') && call.endsWith('tls-0')).length, 1)
})

test('an event that arrives while an older one is worked on is not lost in it', async () => {
  await using on = await stage({ site: { delayMs: 150 } })
  const newest = await leaf('site.test', { days: 120 })
  const first = on.post(eventOf([secretId(0)], 'event-1'))
  await new Promise<void>((resolve) => {
    const before = on.far.onReplaced
    on.far.onReplaced = (name) => {
      before(name)
      resolve()
    }
  })
  on.far.secrets.get(secretId(0))?.versions.push(newest.version)
  const second = await on.post(eventOf([secretId(0)], 'event-2'))
  assert.equal((await first).status, 201)
  assert.equal(second.status, 201)
  assert.deepEqual(on.target(), newest.pair)
})

test('two events out of order end with the newest version', async () => {
  await using on = await stage()
  assert.equal((await on.post(eventOf([secretId(0)], 'the-second'))).status, 201)
  assert.equal((await on.post(eventOf([secretId(0)], 'the-first'))).status, 200)
  assert.deepEqual(on.target(), on.fresh.pair)
})

test('a source that is older than what is in place is refused', async () => {
  await using on = await stage()
  on.far.secrets.get(secretId(0))?.versions.push((await leaf('site.test', { days: 20, shiftDays: -9 })).version)
  const { status, body } = await on.post(eventOf([secretId(0)]))
  assert.equal(status, 422)
  assert.match(body.secrets?.[0]?.reasons?.join() ?? '', /older-than-in-place/)
  assert.deepEqual(on.target(), on.old.pair)
})

test('a conflict on the target is read and decided again', async () => {
  await using on = await stage()
  let conflicts = 0
  on.far.before = (call) => {
    if (call.startsWith('PUT') && call.endsWith('tls-0') && conflicts++ === 0) on.far.putSecret('tls-0', on.old.pair)
  }
  assert.equal((await on.post(eventOf([secretId(0)]))).status, 201)
  assert.equal(conflicts, 2)
  assert.deepEqual(on.target(), on.fresh.pair)
})

test('a conflict on the state map keeps what the other one wrote', async () => {
  await using on = await stage()
  let conflicts = 0
  on.far.before = (call) => {
    if (call.startsWith('POST') && call.endsWith('config_maps') && conflicts++ === 0) on.far.putConfigMap('sync-state', { other: '{}' })
  }
  assert.equal((await on.post(eventOf([secretId(0)]))).status, 201)
  assert.equal(on.far.configMaps.get('sync-state')?.data.other, '{}')
  assert.equal(on.state()?.state, 'fresh')
})

const refusals: readonly [string, NonNullable<Parameters<typeof stage>[0]>, RegExp][] = [
  ['of another host', { next: { host: 'other.test' } }, /host-not-covered/],
  ['that has expired', { next: { shiftDays: -100 } }, /expired/],
]
for (const [name, options, reason] of refusals) {
  test(`a certificate ${name} is refused and changes nothing`, async () => {
    await using on = await stage(options)
    const { status, body } = await on.post(eventOf([secretId(0)]))
    assert.equal(status, 422)
    assert.match(body.secrets?.[0]?.reasons?.join() ?? '', reason)
    assert.deepEqual(on.target(), on.old.pair)
    assert.equal(on.state()?.state, 'refused')
    assert.ok(!on.far.calls.some((call) => call.startsWith('PUT') && call.endsWith('tls-0')))
  })
}

test('a proof that fails puts the last good pair back, and the version is not tried again', async () => {
  await using on = await stage({ site: { frozen: true }, proofLimitMs: 200 })
  const { status } = await on.post(eventOf([secretId(0)]))
  assert.equal(status, 422)
  assert.deepEqual(on.target(), on.old.pair)
  assert.equal(on.state()?.state, 'rolled-back')
  assert.equal(on.state()?.failed?.fingerprint, on.fresh.fingerprint)
  const puts = () => on.far.calls.filter((call) => call.startsWith('PUT') && call.endsWith('tls-0')).length
  assert.equal(puts(), 2)
  assert.equal((await on.post(eventOf([secretId(0)], 'event-2'))).body.secrets?.[0]?.result, 'failed-before')
  assert.equal(puts(), 2)
  assert.deepEqual(
    (await on.sync.sweep({ force: true })).map(({ result }) => result),
    ['rolled-back'],
  )
  assert.equal(puts(), 4)
})

test('what is in place is kept as last-good where Secrets Manager does not have it', async () => {
  await using on = await stage()
  await on.post(eventOf([secretId(0)]))
  assert.deepEqual(on.far.ceSecrets.get('tls-0.last-good')?.data, on.old.pair)
})

test('after a stop before the proof the last good pair is found again in Code Engine', async () => {
  await using on = await stage({ site: { frozen: true }, proofLimitMs: 150 })
  // As a process leaves it that was killed between its write and its proof: replaced, state 'replacing', nothing in memory.
  on.far.fault = ({ method, path }) => (method === 'GET' && path.endsWith('secrets/tls-0') && on.state()?.state === 'replacing' ? 503 : undefined)
  assert.equal((await on.post(eventOf([secretId(0)]))).status, 503)
  on.far.fault = () => undefined
  assert.deepEqual(on.target(), on.fresh.pair)
  assert.equal(on.state()?.state, 'replacing')
  on.far.secrets.get(secretId(0))?.versions.shift()
  assert.equal((await on.post(eventOf([secretId(0)]))).status, 422)
  assert.deepEqual(on.target(), on.old.pair)
})

test('a proof that outlasts the caller is answered with 202 and finished', async () => {
  await using on = await stage({ site: { delayMs: 600 }, answerMs: 300 })
  const { status, body } = await on.post(eventOf([secretId(0)]))
  assert.equal(status, 202)
  assert.equal(body.secrets?.[0]?.result, 'proof-running')
  await on.sync.deps.flights.settled()
  assert.equal(on.state()?.state, 'fresh')
})

const neighbours = [
  ['IAM', 'iam', ''],
  ['Secrets Manager', 'sm', ''],
  ['Code Engine, reading the target', 'ce', 'GET tls-0'],
  ['Code Engine, reading the renewals', 'ce', 'GET sync-renewals'],
  ['Code Engine, writing the state', 'ce', 'POST config_maps'],
  ['Code Engine, writing the target', 'ce', 'PUT tls-0'],
] as const
for (const [name, service, what] of neighbours)
  for (const fault of [401, 403, 429, 500, 503, 'cut', 'hang'] as const) {
    test(`${fault} of ${name} is answered with 503 in time, and the next delivery repairs it`, async () => {
      await using on = await stage({ answerMs: 800 })
      const [method, end] = what.split(' ')
      on.far.fault = (call) => (call.service === service && (what === '' || (call.method === method && call.path.endsWith(end ?? ''))) ? fault : undefined)
      const begun = performance.now()
      const failed = await on.post(eventOf([secretId(0)]))
      assert.deepEqual([failed.status, failed.retryAfter], [503, fault === 429 ? '60' : '5'])
      assert.ok(performance.now() - begun < 3_000, 'the caller would have given up')
      assert.deepEqual(on.target(), on.old.pair)
      on.far.fault = () => undefined
      on.far.letGo()
      await on.sync.deps.flights.settled()
      // What hung may go on by itself once it was let go, and a delivery that waits for the same answer fails with it.
      let { status } = await on.post(eventOf([secretId(0)]))
      if (fault === 'hang' && status === 503) status = (await on.post(eventOf([secretId(0)]))).status
      assert.ok(status === 201 || (fault === 'hang' && status === 200), `${status}`)
      assert.deepEqual(on.target(), on.fresh.pair)
      assert.equal(on.state()?.state, 'fresh')
    })
  }

const isStateWrite = ({ method, path }: { method: string; path: string }) => method === 'PUT' && path.endsWith('sync-state')

for (const fault of [401, 403, 429, 500, 503, 'cut', 'hang'] as const) {
  test(`${fault} of the state's write after the target's is answered with 503; the next delivery proves what is in place`, async () => {
    await using on = await stage({ answerMs: 800 })
    on.far.fault = (call) => (isStateWrite(call) ? fault : undefined)
    const begun = performance.now()
    const failed = await on.post(eventOf([secretId(0)]))
    assert.deepEqual([failed.status, failed.retryAfter], [503, fault === 429 ? '60' : '5'])
    assert.ok(performance.now() - begun < 3_000, 'the caller would have given up')
    assert.deepEqual(on.target(), on.fresh.pair)
    assert.equal(on.state()?.state, 'replacing')
    on.far.fault = () => undefined
    on.far.letGo()
    await on.sync.deps.flights.settled()
    assert.ok([200, 201].includes((await on.post(eventOf([secretId(0)]))).status))
    assert.equal(on.state()?.state, 'fresh')
    assert.equal(on.state()?.last_good, on.old.fingerprint)
  })

  test(`${fault} of the write that puts the last good pair back is answered with 503; the next delivery puts it back`, async () => {
    await using on = await stage({ site: { frozen: true }, proofLimitMs: 150, answerMs: 1_500 })
    let writes = 0
    on.far.fault = ({ method, path }) => (method === 'PUT' && path.endsWith('secrets/tls-0') && ++writes > 1 ? fault : undefined)
    assert.equal((await on.post(eventOf([secretId(0)]))).status, 503)
    on.far.fault = () => undefined
    on.far.letGo()
    await on.sync.deps.flights.settled()
    assert.equal((await on.post(eventOf([secretId(0)]))).status, 422)
    assert.deepEqual(on.target(), on.old.pair)
    assert.equal(on.state()?.state, 'rolled-back')
  })
}

for (const [asked, said] of [
  ['7', '7'],
  ['0', '5'],
  ['86400', '3600'],
  ['soon', '5'],
] as const) {
  test(`a neighbour that asks for ${asked} s has sync ask for ${said} s, of deliveries and of sweeps`, async () => {
    await using on = await stage({ answerMs: 800 })
    on.far.retryAfter = asked
    on.far.fault = ({ path }) => (path.endsWith('secrets/tls-0') ? 429 : undefined)
    assert.equal((await on.post(eventOf([secretId(0)]))).retryAfter, said)
    assert.equal((await on.post({}, undefined, 'sweep')).retryAfter, said)
    on.far.fault = ({ path }) => (path.endsWith('sync-renewals') ? 429 : undefined)
    assert.equal((await on.post({}, undefined, 'sweep')).retryAfter, said)
  })
}

test('a state that somebody else changed during a roll-back is read again: their word stays, and the good pair too', async () => {
  await using on = await stage({ site: { frozen: true }, proofLimitMs: 150 })
  let puts = 0
  on.far.before = (call) => {
    // Behind the write that puts the pair back, before the state is written.
    if (!call.startsWith('PUT') || !call.endsWith('secrets/tls-0') || ++puts !== 2) return
    on.far.putConfigMap('sync-state', { r0: JSON.stringify({ ...on.state(), reasons: ['somebody else'] }), other: '{}' })
  }
  assert.equal((await on.post(eventOf([secretId(0)]))).status, 422)
  assert.deepEqual(on.target(), on.old.pair)
  assert.equal(on.state()?.state, 'rolled-back')
  assert.equal(on.state()?.failed?.fingerprint, on.fresh.fingerprint, 'the failed version was forgotten')
  assert.equal(on.far.configMaps.get('sync-state')?.data.other, '{}')
})

for (const [what, prepare] of [
  ['a secret that is gone', (on) => void on.far.secrets.delete(secretId(0))],
  ['a target that is gone', (on) => void on.far.ceSecrets.delete('tls-0')],
  ['a target of another format', (on) => on.far.putSecret('tls-0', {}, 'generic')],
] as [string, (on: Awaited<ReturnType<typeof stage>>) => void][]) {
  test(`${what} is answered with 422 and its reason`, async () => {
    await using on = await stage()
    prepare(on)
    const { status, body } = await on.post(eventOf([secretId(0)]))
    assert.equal(status, 422)
    assert.match(body.secrets?.[0]?.reasons?.[0] ?? '', /no such secret|create it once|not tls/)
  })
}

test('a header that is missing or wrong is answered with 403 before the body is looked at', async () => {
  await using on = await stage()
  for (const headers of [{}, { 'auth-sm-tls-sync': 'SM-TLS-Sync-Header-Verify' }])
    assert.equal((await on.post('not json', headers as Record<string, string>)).status, 403)
  assert.deepEqual(on.far.calls, [])
})

for (const [name, body] of [
  ['no JSON', 'x'],
  ['a list', '[]'],
  ['more than 64 KiB', JSON.stringify({ ...eventOf([]), pad: 'x'.repeat(66_000) })],
  ['no secrets', JSON.stringify({ ...eventOf([]), data: {} })],
] as const) {
  test(`a body of ${name} is answered with 400`, async () => {
    await using on = await stage()
    assert.equal((await on.post(body)).status, 400)
    assert.deepEqual(on.far.calls, [])
  })
}

test('a secret that no renewal names is ignored', async () => {
  await using on = await stage()
  const { status, body } = await on.post(eventOf([secretId(77)]))
  assert.equal(status, 200)
  assert.equal(body.secrets?.[0]?.result, 'ignored')
  assert.ok(!on.far.calls.some((call) => call.includes(secretId(77))))
})

test('POST /sweep brings what no event told of, whatever its body says; then there is nothing to do', async () => {
  await using s = await stage({ count: 3 })
  const tick = { id: 'tick', type: 'com.example.anything' }
  const swept = await s.post(tick, undefined, 'sweep')
  assert.equal(swept.status, 201)
  assert.deepEqual(
    swept.body.secrets?.map(({ result }) => result),
    ['proven', 'proven', 'proven'],
  )
  assert.equal((await s.post('no JSON', undefined, 'sweep')).status, 200)
})

test('POST /sweep asks for the header', async () => {
  await using s = await stage()
  assert.equal((await s.post({}, {}, 'sweep')).status, 403)
  assert.equal(s.target()?.tls_cert, s.old.pair.tls_cert)
})

test('a sweep that outlasts the caller is answered with 202 and finished; a second call waits for the same one', async () => {
  await using s = await stage({ site: { delayMs: 400 }, answerMs: 100 })
  const [one, two] = await Promise.all([s.post({}, undefined, 'sweep'), s.post({}, undefined, 'sweep')])
  assert.deepEqual([one.status, two.status], [202, 202])
  await s.sync.deps.flights.settled()
  assert.equal(s.state()?.state, 'fresh')
  assert.equal(s.far.calls.filter((call) => call.startsWith('PUT') && call.endsWith('/secrets/tls-0')).length, 1)
})

test('a sweep meets a delivery of the same renewal: the target is written once', async () => {
  await using s = await stage()
  const [delivered, swept] = await Promise.all([s.post(eventOf([secretId(0)])), s.post({}, undefined, 'sweep')])
  assert.deepEqual([delivered.status, swept.status].sort(), [200, 201])
  assert.equal(s.far.calls.filter((call) => call.startsWith('PUT') && call.endsWith('/secrets/tls-0')).length, 1)
})

/** Replaces the renewals of a stage by these. */
const relist = (far: FarSide, renewals: readonly unknown[]) => far.putConfigMap('sync-renewals', { 'renewals.json': JSON.stringify({ version: 1, renewals }) })
const listed = (far: FarSide) => (JSON.parse(far.configMaps.get('sync-renewals')?.data['renewals.json'] ?? '') as { renewals: { target: string }[] }).renewals

test('a second delivery reads ahead: the version is asked for before the list has been answered', async () => {
  await using s = await stage()
  await s.post(eventOf([secretId(0)]))
  const from = s.far.calls.length
  const isList = (call: string) => call.endsWith('/config_maps/sync-renewals')
  const isVersion = (call: string) => call.endsWith('/versions/current')
  let asked = false
  s.far.before = (call) => {
    asked ||= isVersion(call)
  }
  // The list is answered only once the version was asked for; without reading ahead that would be never.
  s.far.fault = ({ path }) => (isList(path) && !asked ? 503 : undefined)
  await s.post(eventOf([secretId(0)], 'event-2'))
  assert.ok(s.far.calls.slice(from).some(isVersion))
})

test('what was read ahead for a renewal that has changed is not used', async () => {
  await using s = await stage()
  await s.post(eventOf([secretId(0)]))
  const next = await leaf('site.test', { days: 120 })
  s.far.secrets.get(secretId(0))?.versions.push(next.version)
  s.far.putSecret('tls-new', s.old.pair)
  const port = await s.far.site('tls-new')
  relist(s.far, [{ ...listed(s.far)[0], target: 'tls-new', probes: [{ host: 'site.test', port, connect: '127.0.0.1' }] }])
  assert.equal((await s.post(eventOf([secretId(0)], 'event-2'))).status, 201)
  assert.equal(s.far.ceSecrets.get('tls-new')?.data.tls_cert, next.pair.tls_cert)
  assert.equal(s.target()?.tls_cert, s.fresh.pair.tls_cert)
})

test('what was read ahead for a renewal that is gone changes nothing', async () => {
  await using s = await stage()
  await s.post(eventOf([secretId(0)]))
  s.far.secrets.get(secretId(0))?.versions.push((await leaf('site.test', { days: 120 })).version)
  relist(s.far, [])
  const { body } = await s.post(eventOf([secretId(0)], 'event-2'))
  assert.deepEqual(
    body.secrets?.map(({ result }) => result),
    ['ignored'],
  )
  assert.equal(s.target()?.tls_cert, s.fresh.pair.tls_cert)
})

test('a faulty renewal stops itself alone: others are brought, and an event that may be for it is to come again', async () => {
  await using s = await stage({ count: 2 })
  const [good, faulty] = listed(s.far)
  relist(s.far, [good, { ...faulty, probes: [{ host: 'https://site.test', port: 443 }] }])
  assert.equal((await s.post(eventOf([secretId(0)]))).status, 201)
  const { status, body } = await s.post(eventOf([secretId(1)], 'event-2'))
  assert.equal(status, 503)
  assert.match(body.secrets?.[0]?.reasons?.[0] ?? '', /renewals\[1\]\.probes/)
  assert.equal(s.target(1)?.tls_cert, s.old.pair.tls_cert)
  assert.equal((await s.post({}, undefined, 'sweep')).status, 422)
})

test('a batch with one refused and one proven is answered with 422 and does both', async () => {
  await using on = await stage({ count: 2 })
  on.far.secrets.get(secretId(1))?.versions.push((await leaf('other.test')).version)
  assert.equal((await on.post(eventOf([secretId(0), secretId(1)]))).status, 422)
  assert.deepEqual(on.target(0), on.fresh.pair)
  assert.deepEqual(on.target(1), on.old.pair)
})

test('a sweep repairs what an event missed and leaves the rest alone', async () => {
  await using on = await stage({ count: 2 })
  await on.post(eventOf([secretId(0)]))
  const results = (await on.sync.sweep()).map(({ renewal, result }) => `${renewal} ${result}`)
  assert.deepEqual(results.sort(), ['r0 in-place', 'r1 proven'])
})

test('a renewal by label takes its target from the name of the secret', async () => {
  await using on = await stage()
  const port = await on.far.site('tls-0')
  const secret = on.far.secrets.get(secretId(0))
  if (secret) Object.assign(secret, { labels: ['web'], name: '0' })
  const renewal = { name: 'web', source: { label: 'web' }, target: 'tls-{secret}', probes: [{ host: 'site.test', port, connect: '127.0.0.1' }] }
  on.far.putConfigMap('sync-renewals', { 'renewals.json': JSON.stringify({ version: 1, renewals: [renewal] }) })
  assert.equal((await on.post(eventOf([secretId(0)]))).status, 201)
  assert.ok(on.far.configMaps.get('sync-state')?.data['web.0'])
  assert.deepEqual(
    (await on.sync.sweep()).map(({ result }) => result),
    ['in-place'],
  )
})

test('private_cert: the chain is assembled from issuing_ca and ca_chain', async () => {
  await using on = await stage()
  const { intermediate: _, ...version } = (await leaf('site.test', { days: 100 })).version
  const secret = on.far.secrets.get(secretId(0))
  secret?.versions.push({ ...version, issuing_ca: issuer.certificate, ca_chain: [issuer.certificate, root.certificate] })
  if (secret) secret.type = 'private_cert'
  assert.equal((await on.post(eventOf([secretId(0)]))).status, 201)
  assert.equal(on.target()?.tls_cert, `${version.certificate}${issuer.certificate}`)
})

test('no line of the log holds key material, a token, a header value or the payload', async () => {
  await using on = await stage({ count: 2, site: { frozen: true }, proofLimitMs: 100, answerMs: 800 })
  await on.post({ ...eventOf([secretId(0), secretId(1)]), canary: 'canary-payload' })
  await on.post('canary-payload')
  await on.post('canary-payload', { 'auth-sm-tls-sync': 'canary-header' })
  on.far.fault = () => 500
  await on.post({ ...eventOf([secretId(0)], 'event-2'), canary: 'canary-payload' })
  const text = on.lines.join('\n')
  assert.ok(on.lines.length > 5)
  const keys = [on.old, on.fresh].flatMap(({ pair }) => pair.tls_key.split('\n').filter((line) => line.length > 20 && !line.startsWith('-')))
  for (const canary of ['canary', HEADER, 'PRIVATE KEY', 'BEGIN', ...keys]) assert.ok(!text.includes(canary), `the log holds ${canary}`)
})
