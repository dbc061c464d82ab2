import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { deploymentOf } from './desired.ts'
import type { Place } from './place.ts'

const sync = { iamUrl: 'https://iam', secretsManagerUrl: 'https://sm', visibility: 'local_public' } as const
const placeOf = (kind: Place['kind']) => ({ kind, app: 'sync', sync }) as Place
const folder = mkdtempSync(join(tmpdir(), 'everleaf-desired-'))
writeFileSync(join(folder, 'sync.js'), 'code')
test.after(() => rmSync(folder, { recursive: true }))

for (const [kind, settings, form, image] of [
  ['everleaf', {}, 'archive', undefined],
  ['everleaf', { image: 'registry/sync' }, 'image', 'registry/sync'],
  ['everleaf', { nodeImage: 'registry/node' }, 'code', 'registry/node'],
  ['ibm', {}, 'code', 'registry.access.redhat.com/ubi9/nodejs-24-minimal:latest'],
  ['ibm', { nodeImage: 'registry/node' }, 'code', 'registry/node'],
  ['ibm', { image: 'registry/sync' }, 'image', 'registry/sync'],
] as const)
  test(`deploymentOf() on ${kind} with ${JSON.stringify(settings)} runs sync from ${form === 'code' ? 'its code by' : 'an'} ${image ?? form}`, async () => {
    const { from, settings: app } = await deploymentOf(placeOf(kind), folder, settings)
    const says = { form: 'archive' in from ? 'archive' : 'code' in from ? 'code' : 'image', image: 'image' in from ? from.image : undefined }
    assert.deepEqual(says, { form, image })
    assert.equal('code' in from ? from.code : 'code', 'code')
    assert.deepEqual(app.run_arguments, form === 'code' ? ['/opt/everleaf/sync.js'] : undefined)
  })

test('deploymentOf() names another deployment for other code', async () => {
  const before = await deploymentOf(placeOf('ibm'), folder)
  writeFileSync(join(folder, 'sync.js'), 'other')
  const { digest } = await deploymentOf(placeOf('ibm'), folder)
  writeFileSync(join(folder, 'sync.js'), 'code')
  assert.notEqual(digest, before.digest)
  assert.equal((await deploymentOf(placeOf('ibm'), folder)).digest, before.digest)
})

test('deploymentOf() refuses two images', async () => {
  await assert.rejects(deploymentOf(placeOf('ibm'), folder, { image: 'a', nodeImage: 'b' }), /names image and nodeImage: .*Leave one out\./)
})

test('deploymentOf() says what to do where sync is many files', async () => {
  mkdirSync(join(folder, 'sync'))
  await assert.rejects(deploymentOf(placeOf('ibm'), folder), /npm ci/)
  rmSync(join(folder, 'sync'), { recursive: true })
})
