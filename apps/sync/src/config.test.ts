import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from './config.ts'

const env = {
  SYNC_HEADER_VALUE: 'a-long-random-value',
  IAM_PROFILE_NAME: 'sync',
  SECRETS_MANAGER_URL: 'https://guid.eu-es.secrets-manager.appdomain.cloud',
  CE_API_BASE_URL: 'https://api.private.eu-es.codeengine.cloud.ibm.com',
  CE_PROJECT_ID: '3d6ee3a9-9a1e-4a2c-9a6e-0d4f6c7a8b90',
  CE_APP: 'sync',
}
const check = (change: Record<string, string | undefined>) => readConfig({ ...env, ...change }, { needsHeader: true })

test('readConfig() fills in the defaults', () => {
  const read = check({})
  assert.ok('config' in read, JSON.stringify(read))
  assert.equal(read.config.headerName, 'auth-sm-tls-sync')
  assert.equal(read.config.iamUrl, 'https://iam.cloud.ibm.com')
  assert.equal(read.config.codeEngineUrl, `${env.CE_API_BASE_URL}/v2`)
  assert.equal(read.config.port, 8080)
  assert.ok(!JSON.stringify(read).includes('a-long-random-value'))
})

test('readConfig() reads a single renewal', () => {
  const read = check({
    SYNC_SECRET_ID: env.CE_PROJECT_ID,
    SYNC_TARGET_SECRET: 'tls',
    SYNC_PROBES: 'a.test:443, b.test:443@127.0.0.1:8443',
    SYNC_ACCEPT: 'no-san',
  })
  assert.ok('config' in read, JSON.stringify(read))
  assert.equal(read.config.single?.probes.length, 2)
  assert.deepEqual(read.config.single?.accept, ['no-san'])
})

for (const [change, named] of [
  [{ SYNC_HEADER_VALUE: undefined }, /SYNC_HEADER_VALUE/],
  [{ SYNC_HEADER_VALUE: 'SM-TLS-Sync-Header-Verify' }, /SYNC_HEADER_VALUE/],
  [{ SYNC_HEADER_VALUE: 'short' }, /SYNC_HEADER_VALUE/],
  [{ IAM_PROFILE_NAME: undefined }, /IAM_PROFILE_NAME/],
  [{ SECRETS_MANAGER_URL: undefined }, /SECRETS_MANAGER_URL/],
  [{ SECRETS_MANAGER_URL: 'guid' }, /SECRETS_MANAGER_URL/],
  [{ CE_PROJECT_ID: undefined }, /CE_PROJECT_ID/],
  [{ CE_APP: undefined }, /CE_APP/],
  [{ PORT: '99999' }, /PORT/],
  [{ SYNC_PROOF_LIMIT_MS: '1s' }, /SYNC_PROOF_LIMIT_MS/],
  [{ SYNC_SECRET_ID: 'x', SYNC_TARGET_SECRET: 'tls', SYNC_PROBES: 'a:1' }, /SYNC_SECRET_ID/],
] as const) {
  test(`readConfig() names what to set for ${JSON.stringify(change)}`, () => {
    const read = check(change)
    assert.match('problems' in read ? read.problems.join() : '', named)
  })
}
