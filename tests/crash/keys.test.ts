import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { migrations } from '@everleaf/platform/migrations'
import { openStore } from '@everleaf/store'
import { testWorld } from '@everleaf/world/test'
import { environment, eventually, everleaf, type Finished, finish, freshHome, login, ROOT, startPlatform } from '../support/platform.ts'

const ENTRY = join(ROOT, 'tests/crash/entry.ts')
const node = (place: { home: string; env?: NodeJS.ProcessEnv }, ...args: readonly string[]): Promise<Finished> =>
  finish(spawn(process.execPath, args, { env: environment(place), stdio: ['ignore', 'pipe', 'pipe'] }), 60_000)

test('a database made by migrations killed at each statement is the one made without', { timeout: 240_000 }, async () => {
  using place = freshHome()
  const points: string[] = []
  const store = await openStore({ file: join(place.home, 'reference.db'), world: testWorld({ crash: (point) => void points.push(point) }), migrations })
  await store.close()
  const statements = points.filter((point) => /^migration\..*\.\d+$/.test(point))
  assert.ok(statements.length > 30, `only ${statements.length} statements`)
  const file = join(place.home, 'killed.db')
  const crashFile = join(place.home, 'crash-at')
  const killed = { ...place, env: { EVERLEAF_TEST_CRASH_FILE: crashFile } }
  for (const point of statements) {
    writeFileSync(crashFile, point)
    const { signal, stderr } = await node(killed, join(ROOT, 'tests/crash/migrate.ts'), file)
    assert.equal(signal, 'SIGKILL', `${point}: ${stderr}`)
  }
  assert.equal((await node(place, join(ROOT, 'tests/crash/migrate.ts'), file)).status, 0)
  const schema = (name: string) => {
    const db = new DatabaseSync(join(place.home, name), { readOnly: true })
    const rows = db.prepare('SELECT type, name, sql FROM sqlite_master ORDER BY type, name').all()
    db.close()
    return rows
  }
  assert.deepEqual(schema('killed.db'), schema('reference.db'))
})

test('core killed while signing keys are replaced: old tokens are good, new logins too, before and after', { timeout: 120_000 }, async () => {
  using place = freshHome()
  const crashFile = join(place.home, 'crash-at')
  await using platform = await startPlatform({ ...place, env: { EVERLEAF_TEST_CRASH_FILE: crashFile }, entry: [ENTRY] })
  const projects = (token: string) =>
    fetch(`${platform.env.CODE_ENGINE_URL}/projects`, { headers: { authorization: `Bearer ${token}` } }).then(
      ({ status }) => status,
      () => 0,
    )
  const before = await login(platform.env)
  for (const point of ['iam.key-rotation.before', 'iam.key-rotation.after']) {
    writeFileSync(crashFile, point)
    assert.equal((await everleaf(['keys', 'rotate'], place)).status, 1, point)
    assert.equal(existsSync(crashFile), false, `${point} was not reached`)
    await eventually('core answers again', async () => (await projects(before)) === 200)
    assert.equal(await projects(await login(platform.env)), 200, point)
  }
  const keys = async () => ((await (await fetch(`${platform.env.IAM_IDENTITY_URL}/identity/keys`)).json()) as { keys: unknown[] }).keys.length
  const known = await keys()
  assert.equal((await everleaf(['keys', 'rotate'], place)).status, 0)
  assert.equal(await keys(), known + 1)
  assert.equal(await projects(before), 200)
})

test('the root key is replaced on a home at rest; killed at any point of it, the next start opens everything', { timeout: 240_000 }, async () => {
  using place = freshHome()
  const secret = 'r00t-canary'
  let id = ''
  {
    await using platform = await startPlatform(place)
    const made = await platform.api('POST', `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`, { secret_type: 'arbitrary', name: 'kept', payload: secret })
    assert.equal(made.status, 201, made.text)
    id = String(made.body.id)
    const project = `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
    const kept = await platform.api('POST', `${project}/secrets`, { name: 'kept', format: 'generic', data: { KEY: secret } })
    assert.equal(kept.status, 201, kept.text)
    const refused = await everleaf(['keys', 'rotate', '--root'], place)
    assert.equal(refused.status, 3)
    assert.match(refused.stderr, /is running[\s\S]*Stop it first/)
    await platform.stop()
  }
  const keyFile = join(place.home, 'keys/root.key')
  const crashFile = join(place.home, 'crash-at')
  const dying = { ...place, env: { EVERLEAF_TEST_CRASH_FILE: crashFile } }
  const rows = (() => {
    using db = new DatabaseSync(join(place.home, 'data/everleaf.db'), { readOnly: true })
    return Number(db.prepare('SELECT count(*) AS rows FROM store_keys').get()?.rows)
  })()
  assert.ok(rows > 3, `only ${rows} keys`)
  const underOld = ['keys.new-stored', ...Array.from({ length: rows }, (_, at) => `keys.rewrapped.${at + 1}`)]
  for (const point of [...underOld, 'keys.all-rewrapped', 'keys.old-retired', undefined]) {
    const before = existsSync(keyFile) ? readFileSync(keyFile) : Buffer.alloc(0)
    if (point !== undefined) writeFileSync(crashFile, point)
    const ended = await node(dying, join(ROOT, 'tests/crash/root-key.ts'))
    assert.deepEqual([ended.signal, ended.status], point === undefined ? [null, 0] : ['SIGKILL', null], `${point}: ${ended.stderr}`)
    await using platform = await startPlatform(place)
    const read = await platform.api('GET', `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets/${id}`)
    assert.equal(read.body.payload, secret, `${point}: ${read.text}`)
    const isNew = !readFileSync(keyFile).equals(before)
    assert.equal(isNew, !underOld.includes(point ?? ''), String(point))
    const kept = await platform.api('GET', `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}/secrets/kept`)
    assert.deepEqual(kept.body.data, { KEY: secret }, `${point}: ${kept.text}`)
    assert.equal(existsSync(`${keyFile}.next`), false)
    await platform.stop()
  }
  // The old key opens nothing any more.
  writeFileSync(`${keyFile}.kept`, readFileSync(keyFile))
  chmodSync(keyFile, 0o600)
  writeFileSync(keyFile, readFileSync(`${keyFile}.old`))
  chmodSync(keyFile, 0o400)
  await assert.rejects(startPlatform(place), /root key .* is not the one/)
})

test('doctor finds a line of the audit log that somebody changed', { timeout: 60_000 }, async () => {
  using place = freshHome()
  await using platform = await startPlatform(place)
  await platform.api('POST', `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}/config_maps`, { name: 'one', data: {} })
  const whole = await everleaf(['doctor'], place)
  assert.equal(whole.status, 0, whole.stdout)
  assert.match(whole.stdout, /works {2}audit log: every line fits/)
  const db = new DatabaseSync(join(place.home, 'data/everleaf.db'), { timeout: 5_000 })
  db.exec("UPDATE store_audit SET line = replace(line, 'success', 'refused') WHERE seq = 1")
  db.close()
  const broken = await everleaf(['doctor'], place)
  assert.equal(broken.status, 3)
  assert.match(broken.stdout, /audit log: line 1 does not fit/)
})
