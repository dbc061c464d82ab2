import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { eventually, freshHome, ROOT, startPlatform } from '../support/platform.ts'

test('core killed while an object is written: the old one or the new one is there, whole, and no body without an object', { timeout: 180_000 }, async () => {
  using place = freshHome()
  const crashFile = join(place.home, 'crash-at')
  await using platform = await startPlatform({ ...place, env: { EVERLEAF_TEST_CRASH_FILE: crashFile }, entry: [join(ROOT, 'tests/crash/entry.ts')] })
  const { done } = ibmcloudOf(place)
  await done('resource', 'service-instance-create', 'cos', 'cloud-object-storage', 'standard', 'global')
  const crn = (await done('resource', 'service-instance', 'cos', '--crn')).split('\n').find((line) => line.includes(':cloud-object-storage:')) ?? ''
  const ask = async (method: string, path: string, body?: Buffer) => {
    const headers = { authorization: `Bearer ${await platform.token()}`, ...(path === '/kept' ? { 'ibm-service-instance-id': crn } : {}) }
    const answer = await fetch(`${platform.env.COS_ENDPOINT}${path}`, { method, headers, ...(body === undefined ? {} : { body }) })
    return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) }
  }
  const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  assert.equal((await ask('PUT', '/kept')).status, 200)
  let before = randomBytes(600_000)
  assert.equal((await ask('PUT', '/kept/one', before)).status, 200)
  for (const [point, isWritten] of [
    ['cos.body-written', false],
    ['cos.row-written', false],
    ['store.before-commit', false],
    ['store.after-commit', true],
  ] as const) {
    const next = randomBytes(600_000)
    writeFileSync(crashFile, point)
    const { status } = await ask('PUT', '/kept/one', next).catch(() => ({ status: 0 }))
    assert.notEqual(status, 200, `${point}: acknowledged although core died`)
    assert.equal(existsSync(crashFile), false, `${point} was not passed`)
    const there = await eventually(
      `${point}: core answers again`,
      async () => {
        const got = await ask('GET', '/kept/one').catch(() => undefined)
        return got?.status === 200 && got.bytes
      },
      60_000,
    )
    const expected = isWritten ? next : before
    assert.equal(sha(there), sha(expected), point)
    assert.equal(readdirSync(join(place.home, 'data/objects')).length, 1, `${point}: a body that nobody names`)
    before = expected
  }
  assert.equal((await ask('PUT', '/kept/one', randomBytes(10))).status, 200)
})
