import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { jsonLog } from '@everleaf/world'
import { issue } from './certificates.ts'
import { startSecretsManager } from './platform.ts'

const PAYLOAD = 'canary-payload-5a1f0c'
/** The line of a PEM that is random in every key. */
const canaryOf = (pem: string) => pem.split('\n')[1] ?? 'no second line'

test('no secret is in a file of the database, in a log or in a refusal', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sm-seal-'))
  const lines: string[] = []
  try {
    const log = jsonLog((line) => lines.push(line), { now: () => new Date(0), level: 'debug' })
    let tries = 0
    const publish = async () => {
      if (tries++ === 0) throw new Error('away')
      return 'refused' as const
    }
    const sm = await startSecretsManager({ file: join(folder, 'data.db'), log, publish })
    const [pair, next] = [await issue(), await issue()]
    await sm.register()
    const secret = await sm.call('POST', '/secrets', { secret_type: 'imported_cert', name: 'sm-cert', ...pair })
    await sm.call('POST', '/secrets', { secret_type: 'arbitrary', name: 'canary', payload: PAYLOAD })
    await sm.call('POST', `/secrets/${secret.body.id}/versions`, next)
    const read = await sm.call('GET', `/secrets/${secret.body.id}/versions/previous`)
    const refused = await sm.call('POST', `/secrets/${secret.body.id}/versions`, { ...next, private_key: pair.private_key })
    await sm.settle()
    await sm.world.advance(60_000)
    await sm.settle()
    assert.deepEqual([read.body.private_key, refused.status], [pair.private_key, 400])
    assert.ok(lines.length > 0)
    const files = readdirSync(folder)
    assert.ok(files.includes('data.db') && files.includes('data.db-wal'))
    const written = [...files.map((file) => readFileSync(join(folder, file), 'latin1')), lines.join('\n'), refused.text, JSON.stringify(sm.published)]
    for (const canary of [canaryOf(pair.private_key), canaryOf(next.private_key), PAYLOAD, canaryOf(pair.certificate)])
      for (const text of written) assert.equal(text.includes(canary), false)
    await sm.stop()
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a sealed field does not open in another version, and a changed one not at all', async () => {
  const sm = await startSecretsManager()
  const id = (await sm.call('POST', '/secrets', { secret_type: 'arbitrary', name: 'ab', payload: 'one' })).body.id
  await sm.call('POST', `/secrets/${id}/versions`, { payload: 'two' })
  type Rows = { sm_versions: { payload: string; alias: string } }
  const rows = await sm.store.tables<Rows>().selectFrom('sm_versions').select(['payload', 'alias']).execute()
  const previous = rows.find((row) => row.alias === 'previous')?.payload ?? ''
  await sm.store.write((tx) => tx.tables<Rows>().updateTable('sm_versions').set({ payload: previous }).where('alias', '=', 'current').execute())
  const reply = await sm.call('GET', `/secrets/${id}`)
  assert.equal(reply.status, 500)
  assert.doesNotMatch(reply.text, /one|sm_versions/)
})

test('each read of data is audited, and none is answered when the audit line cannot be written', async () => {
  let broken = false
  const sm = await startSecretsManager({
    crash: (name) => {
      if (broken && name === 'store.before-commit') throw new Error('disk full')
    },
  })
  const id = (await sm.call('POST', '/secrets', { secret_type: 'arbitrary', name: 'ab', payload: 'one' })).body.id
  await sm.call('GET', `/secrets/${id}`)
  await sm.call('GET', '/secret_groups/default/secret_types/arbitrary/secrets/ab')
  await sm.call('GET', `/secrets/${id}/versions/current`)
  const rows = await sm.store.tables<{ store_audit: { line: string } }>().selectFrom('store_audit').select('line').execute()
  const actions = rows.map((row) => JSON.parse(row.line).action)
  assert.deepEqual(actions.slice(1), ['secrets-manager.secret.read', 'secrets-manager.secret.read', 'secrets-manager.secret-version.read'])
  broken = true
  const reply = await sm.call('GET', `/secrets/${id}`)
  assert.deepEqual([reply.status, reply.text.includes('"one"')], [503, false])
})

test('a deleted instance leaves no rows', async () => {
  const sm = await startSecretsManager()
  await sm.register()
  await sm.call('POST', '/secret_groups', { name: 'mine' })
  await sm.call('POST', '/secrets', { secret_type: 'arbitrary', name: 'ab', payload: 'one' })
  await sm.store.write((tx) => sm.forgetInstance(tx, '11111111-2222-4333-8444-555555555555'))
  for (const table of ['sm_secrets', 'sm_versions', 'sm_secret_groups', 'sm_registrations', 'sm_events'] as const)
    assert.deepEqual(await sm.store.tables<Record<typeof table, object>>().selectFrom(table).selectAll().execute(), [], table)
})
