import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeBucket } from '../authz/places.ts'
import { type Bundle, chainMaker, fingerprintOf } from '../support/certificates.ts'
import { openDisk } from '../support/disk.ts'
import { material, renewedShop } from '../support/pipeline.ts'
import { eventually, type Running, startPlatform } from '../support/platform.ts'
import { freezeFamily, signal } from '../support/processes.ts'
import { servedLeaf } from '../support/tls.ts'
import { chanceFrom } from './killer.ts'

const CUTS = 20
const HOST = 'cut.example.com'
const LONGEST_MS = 1_000
const BODY_BYTES = 60_000

/** What was acknowledged: each of it must be there after the cut. */
type Acknowledged = { readonly secrets: Map<string, string>; readonly objects: Map<string, string>; versions: string[]; asked: string[] }

test(`${CUTS} power cuts at random: what was acknowledged is there, whole, and the newest certificate is served`, { timeout: 600_000 }, async (t) => {
  await using disk = await openDisk({ megabytes: 400 })
  if (disk === undefined) return t.skip('a power cut needs root, mkfs.ext4 and loop devices')
  const seed = Number(process.env.EVERLEAF_TEST_SEED ?? Date.now() % 1_000_000)
  t.diagnostic(`EVERLEAF_TEST_SEED=${seed} repeats this run`)
  const chance = chanceFrom(seed)
  const place = { home: join(disk.folder, 'home') }
  let platform = await startPlatform(place)
  try {
    const maker = await chainMaker()
    const secret = await renewedShop(platform, { name: 'cut', host: HOST, first: await maker.leaf([HOST]) })
    const { bucket } = await makeBucket(platform, { token: await platform.token(), name: 'cut' })
    const done: Acknowledged = { secrets: new Map(), objects: new Map(), versions: [], asked: [] }
    for (let cut = 1; cut <= CUTS; cut++) {
      const leaves = await Promise.all(Array.from({ length: 6 }, () => maker.leaf([HOST])))
      done.versions = []
      done.asked = []
      const from = { secrets: done.secrets.size, objects: done.objects.size }
      const writers = write(platform, { done, leaves, secret, bucket })
      await sleep(50 + chance() * LONGEST_MS)
      const family = freezeFamily(platform.child.pid ?? assert.fail())
      // What was answered by now is on its way to us.
      await sleep(50)
      disk.cut()
      for (const pid of family) signal(pid, 'SIGKILL')
      await writers
      await disk.restore()
      platform = await startPlatform(place)
      await check(platform, { done, secret, bucket, from })
      t.diagnostic(`${cut}: ${done.versions.length} versions, ${done.secrets.size - from.secrets} secrets, ${done.objects.size - from.objects} objects`)
    }
    assert.ok(done.secrets.size > CUTS && done.objects.size > CUTS / 2, 'something was acknowledged before most cuts')
  } finally {
    await platform.stop()
  }
})

type Work = { readonly done: Acknowledged; readonly leaves: readonly Bundle[]; readonly secret: string; readonly bucket: string }

/** Writes of three kinds at once, until the platform answers no more. */
async function write(platform: Running, { done, leaves, secret, bucket }: Work): Promise<void> {
  const { env } = platform
  const manager = `${env.SECRETS_MANAGER_URL}/api/v2/secrets`
  const untilGone = async (one: () => Promise<boolean>) => {
    while (await one().catch(() => false));
  }
  const queue = [...leaves]
  await Promise.all([
    untilGone(async () => {
      const leaf = queue.shift()
      if (leaf === undefined) return false
      const fingerprint = fingerprintOf(leaf.certificate)
      done.asked.push(fingerprint)
      const { status } = await platform.api('POST', `${manager}/${secret}/versions`, material(leaf))
      if (status === 201) done.versions.push(fingerprint)
      return status === 201
    }),
    untilGone(async () => {
      const [name, payload] = [randomUUID(), randomUUID()]
      const { status, body } = await platform.api('POST', manager, { secret_type: 'arbitrary', name, payload })
      if (status === 201) done.secrets.set(String(body.id), payload)
      return status === 201
    }),
    untilGone(async () => {
      const [key, content] = [randomUUID(), randomBytes(BODY_BYTES)]
      const headers = { authorization: `Bearer ${await platform.token()}` }
      const { ok } = await fetch(`${env.COS_ENDPOINT}/${bucket}/${key}`, { method: 'PUT', headers, body: content })
      if (ok) done.objects.set(key, createHash('sha256').update(content).digest('hex'))
      return ok
    }),
  ])
}

/** `from`: how many were there before this round; those were looked at already. */
async function check(
  platform: Running,
  { done, secret, bucket, from }: { done: Acknowledged; secret: string; bucket: string; from: { secrets: number; objects: number } },
): Promise<void> {
  const { env } = platform
  const manager = `${env.SECRETS_MANAGER_URL}/api/v2/secrets`
  for (const [id, payload] of [...done.secrets].slice(from.secrets)) {
    const { status, body } = await platform.api('GET', `${manager}/${id}`)
    assert.deepEqual([status, body.payload], [200, payload], 'an acknowledged secret')
  }
  for (const [key, digest] of [...done.objects].slice(from.objects)) {
    const response = await fetch(`${env.COS_ENDPOINT}/${bucket}/${key}`, { headers: { authorization: `Bearer ${await platform.token()}` } })
    const bytes = Buffer.from(await response.arrayBuffer())
    assert.deepEqual([response.status, createHash('sha256').update(bytes).digest('hex')], [200, digest], 'an acknowledged object')
  }
  const { body: current } = await platform.api('GET', `${manager}/${secret}/versions/current`)
  const fingerprint = fingerprintOf(String(current.certificate))
  const newest = done.versions.at(-1)
  // One more may have been written whose answer did not come.
  if (newest !== undefined) assert.ok(done.asked.slice(done.asked.indexOf(newest)).includes(fingerprint), 'the newest acknowledged version')
  await eventually(
    'the newest certificate is served',
    () =>
      servedLeaf(HOST, platform.ports.public).then(
        (leaf) => leaf === fingerprint,
        () => false,
      ),
    60_000,
  )
}
