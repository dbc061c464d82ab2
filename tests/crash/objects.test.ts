import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
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

test(
  'core killed again and again while objects come in: what was acknowledged is there, whole, and no body without an object',
  {
    timeout: 180_000,
  },
  async () => {
    using place = freshHome()
    await using platform = await startPlatform(place)
    const { done } = ibmcloudOf(place)
    await done('resource', 'service-instance-create', 'cos', 'cloud-object-storage', 'standard', 'global')
    const crn = (await done('resource', 'service-instance', 'cos', '--crn')).split('\n').find((line) => line.includes(':cloud-object-storage:')) ?? ''
    const authorization = `Bearer ${await platform.token()}`
    const ask = async (method: string, path: string, body?: Buffer) => {
      const headers = { authorization, ...(path === '/kept' ? { 'ibm-service-instance-id': crn } : {}) }
      const answer = await fetch(`${platform.env.COS_ENDPOINT}${path}`, { method, headers, ...(body === undefined ? {} : { body: new Uint8Array(body) }) })
      return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) }
    }
    assert.equal((await ask('PUT', '/kept')).status, 200)
    // Of each key one program puts ever later versions: the last that was acknowledged is there, or one that was sent after it.
    const body = (key: number, version: number) => Buffer.alloc(500_000, `key ${key} version ${version} `)
    const sent = [0, 0, 0, 0]
    const acknowledged = [0, 0, 0, 0]
    let isOver = false
    const putters = sent.map(async (_none, key) => {
      while (!isOver) {
        const version = (sent[key] ?? 0) + 1
        sent[key] = version
        const { status } = await ask('PUT', `/kept/${key}`, body(key, version)).catch(() => ({ status: 0 }))
        if (status === 200) acknowledged[key] = version
        else await sleep(20)
      }
    })
    for (let kill = 0; kill < 4; kill++) {
      const before = acknowledged.reduce((sum, one) => sum + one, 0)
      await eventually('objects come in', () => acknowledged.reduce((sum, one) => sum + one, 0) > before + 10, 60_000)
      await sleep(Math.random() * 30)
      process.kill(platform.corePid(), 'SIGKILL')
    }
    await eventually('core is there again', async () => (await ask('GET', '/kept/0').catch(() => undefined))?.status === 200, 60_000)
    isOver = true
    await Promise.all(putters)
    for (const [key, last] of acknowledged.entries()) {
      const { status, bytes } = await ask('GET', `/kept/${key}`)
      const versions = Array.from({ length: (sent[key] ?? 0) - last + 1 }, (_none, n) => last + n)
      assert.ok(
        status === 200 && versions.some((version) => body(key, version).equals(bytes)),
        `key ${key}: ${status}, not a version from ${last} on, or not whole`,
      )
    }
    await eventually('no body is without an object', () => readdirSync(join(place.home, 'data/objects')).length === sent.length)
  },
)
