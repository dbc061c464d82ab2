import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { couldNotRun, eventually, freshHome, ROOT, startPlatform } from '../support/platform.ts'

const MIB = 1024 * 1024
const canMount = spawnSync('unshare', ['--user', '--map-root-user', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0
if (!canMount) couldNotRun('a full disk', 'no disk can be mounted in a namespace of its own here')

test(
  'a disk that is full in the middle of a put: a clear answer, nothing of it left, the older object whole, and the next that fits is taken',
  {
    skip: canMount ? false : 'could not run',
  },
  async () => {
    using place = freshHome()
    const folder = join(place.home, 'data/objects')
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const entry = [join(ROOT, 'tests/support/small-disk.ts')]
    await using platform = await startPlatform({ ...place, env: { EVERLEAF_TEST_SMALL_DISK: `24m ${folder}` }, entry })
    const { done } = ibmcloudOf(place)
    await done('resource', 'service-instance-create', 'cos', 'cloud-object-storage', 'standard', 'global')
    const crn = (await done('resource', 'service-instance', 'cos', '--crn')).split('\n').find((line) => line.includes(':cloud-object-storage:')) ?? ''
    const ask = async (method: string, path: string, body?: Buffer | ReadableStream) => {
      const headers = { authorization: `Bearer ${await platform.token()}`, ...(path === '/disk' ? { 'ibm-service-instance-id': crn } : {}) }
      const options = { method, headers, ...(body === undefined ? {} : { body: body as NonNullable<RequestInit['body']>, duplex: 'half' as const }) }
      const answer = await fetch(`${platform.env.COS_ENDPOINT}${path}`, options)
      const bytes = Buffer.from(await answer.arrayBuffer())
      return { status: answer.status, headers: answer.headers, bytes, text: bytes.toString() }
    }
    const bodies = () => readdirSync(`/proc/${platform.child.pid}/root${folder}`).length
    assert.equal((await ask('PUT', '/disk')).status, 200)
    const old = randomBytes(8 * MIB)
    assert.equal((await ask('PUT', '/disk/kept', old)).status, 200)
    const tooLarge = randomBytes(40 * MIB)
    const inChunks = () => new Response(tooLarge).body ?? tooLarge
    for (const [key, body] of [
      ['new', tooLarge],
      ['kept', tooLarge],
      ['kept', inChunks()],
    ] as const) {
      // prettier-ignore
      const { status, headers, text } = await ask('PUT', `/disk/${key}`, body)
      assert.deepEqual([status, headers.get('retry-after')], [503, '2'], text)
      assert.match(text, /<Code>ServiceUnavailable<.*nothing of it was stored/s)
      assert.ok(!text.includes(folder) && !/ENOSPC/.test(text), text)
      await eventually('nothing of it is left', () => bodies() === 1)
      assert.ok((await ask('GET', '/disk/kept')).bytes.equals(old))
    }
    assert.match(platform.output(), /ENOSPC/, 'the log does not say why')
    assert.equal((await ask('GET', '/disk/new')).status, 404)
    const together = await Promise.all(['a', 'b'].map((key) => ask('PUT', `/disk/${key}`, tooLarge.subarray(0, 12 * MIB))))
    for (const { status, text } of together) assert.ok(status === 200 || status === 503, text)
    const taken = together.filter(({ status }) => status === 200).length
    await eventually('what was refused is gone', () => bodies() === 1 + taken)
    for (const key of ['a', 'b', 'kept']) assert.equal((await ask('DELETE', `/disk/${key}`)).status, 204)
    await eventually('the bodies are gone', () => bodies() === 0)
    const fits = randomBytes(20 * MIB)
    assert.equal((await ask('PUT', '/disk/fits', fits)).status, 200, 'it does not recover')
    assert.ok((await ask('GET', '/disk/fits')).bytes.equals(fits))
  },
)
