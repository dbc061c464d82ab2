import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAuthority, issueLeaf } from '@everleaf/pki/issue'
import { everleaf, freshHome, startPlatform } from '../support/platform.ts'

test('certificate readiness without a name takes every certificate of the running platform from its public API', { timeout: 120_000 }, async () => {
  using place = freshHome()
  await using platform = await startPlatform(place)
  const { env, api } = platform
  const now = new Date()
  const authority = await createAuthority({ name: 'Inventory', now, lifeMs: 90 * 86_400_000 })
  const { certificate, privateKey } = await issueLeaf({ authority, names: ['shop.example.com'], now, lifeMs: 60 * 86_400_000 })
  const secret = { secret_type: 'imported_cert', name: 'shop', certificate, private_key: privateKey }
  assert.equal((await api('POST', `${env.SECRETS_MANAGER_URL}/api/v2/secrets`, secret)).status, 201)
  const { status, stdout, stderr } = await everleaf(['certificate', 'readiness', '--json'], place)
  assert.equal(status, 0, stderr)
  const { certificates } = JSON.parse(stdout)
  assert.deepEqual(
    certificates.map((one: { source: string; subject: string; days_left: number }) => [one.source, one.subject, one.days_left]),
    [['secret shop', 'shop.example.com', 59]],
  )
})
