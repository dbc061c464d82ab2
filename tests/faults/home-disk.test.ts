import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { existsSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeBucket } from '../authz/places.ts'
import { chainMaker, fingerprintOf } from '../support/certificates.ts'
import { type Disk, openDisk } from '../support/disk.ts'
import { material, renewedShop } from '../support/pipeline.ts'
import { eventually, type Running, startPlatform } from '../support/platform.ts'
import { get, servedLeaf } from '../support/tls.ts'

const HOST = 'full.example.com'
const NO_DISK = 'a disk of its own needs root, mkfs.ext4 and loop devices'

/** A site that is served, with a renewal, and a bucket. */
async function furnish(platform: Running) {
  const maker = await chainMaker()
  const first = await maker.leaf([HOST])
  const secret = await renewedShop(platform, { name: 'full', host: HOST, first })
  const manager = `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`
  const { bucket } = await makeBucket(platform, { token: await platform.token(), name: 'full' })
  return { maker, manager, secret, first: first.fingerprint, bucket: `${platform.env.COS_ENDPOINT}/${bucket}` }
}

/** Takes what is left of the disk; gives the space back when called. */
function fill({ folder }: Disk): () => void {
  const file = join(folder, 'filler')
  for (let part = 1 << 24; part >= 512; part >>= 1)
    try {
      for (;;) writeFileSync(file, Buffer.alloc(part), { flag: 'a' })
    } catch {
      // No such part is left: a smaller one may be.
    }
  assert.ok(statfsSync(folder).bavail < 4, 'the disk is full')
  return () => rmSync(file)
}

test('on a full disk writes are refused, what is served goes on, and with space again everything is as it was', { timeout: 300_000 }, async (t) => {
  await using disk = await openDisk({ megabytes: 200 })
  if (disk === undefined) return t.skip(NO_DISK)
  await using platform = await startPlatform({ home: join(disk.folder, 'home') })
  const { maker, manager, secret, first, bucket } = await furnish(platform)
  const kept = new Map<string, string>()
  const put = async () => {
    const [name, payload] = [randomUUID(), randomUUID()]
    const answer = await platform.api('POST', manager, { secret_type: 'arbitrary', name, payload })
    if (answer.status === 201) kept.set(String(answer.body.id), payload)
    return answer
  }
  assert.equal((await put()).status, 201)
  const token = await platform.token()
  const object = async (method: string, key: string, body?: Buffer) =>
    await fetch(`${bucket}/${key}`, { method, headers: { authorization: `Bearer ${token}` }, ...(body === undefined ? {} : { body }) })
  const content = randomBytes(200_000)
  assert.equal((await object('PUT', 'kept', content)).status, 200)

  const giveBack = fill(disk)
  // The last pages of the database's own files may still take a few.
  const refused = await eventually('a write is refused', async () => {
    const answer = await put()
    return answer.status !== 201 && answer
  })
  assert.equal(refused.status, 503, refused.text)
  assert.match(refused.text, /nothing was stored/)
  assert.ok(refused.headers.get('retry-after') !== null, 'when to come again')
  assert.doesNotMatch(refused.text, /SQLITE|ENOSPC|everleaf\.db/)
  assert.equal((await object('PUT', 'kept', randomBytes(3_000_000))).status, 503, 'an object that does not fit')
  const [id = ''] = kept.keys()
  assert.equal((await platform.api('GET', `${manager}/${id}`)).status, 503, 'no audit, no secret')
  for (let n = 0; n < 50; n++) {
    assert.equal(await get(HOST, platform.ports.public, maker.root), 'shop')
    await sleep(20)
  }
  assert.equal(await servedLeaf(HOST, platform.ports.public), first)
  assert.equal((await platform.api('GET', `${manager}?limit=1`)).status, 200, 'what needs no writing is answered')

  giveBack()
  await eventually('writes are taken again', async () => (await put()).status === 201, 10_000)
  for (const [one, payload] of kept) assert.equal((await platform.api('GET', `${manager}/${one}`)).body.payload, payload)
  const back = Buffer.from(await (await object('GET', 'kept')).arrayBuffer())
  assert.equal(createHash('sha256').update(back).digest('hex'), createHash('sha256').update(content).digest('hex'), 'the object before is whole')
  await rotated(platform, { maker, manager, secret })
  assert.equal(await platform.stop(), 0)
})

/** A new version is written and served. */
async function rotated(
  platform: Running,
  { maker, manager, secret }: Pick<Awaited<ReturnType<typeof furnish>>, 'maker' | 'manager' | 'secret'>,
): Promise<void> {
  const next = await maker.leaf([HOST])
  assert.equal((await platform.api('POST', `${manager}/${secret}/versions`, material(next))).status, 201)
  await eventually('it is served', async () => (await servedLeaf(HOST, platform.ports.public)) === fingerprintOf(next.certificate), 60_000)
}

const STRACE = '/usr/bin/strace'

test('after the disk has failed to keep a write, no acknowledged one is missing and the platform goes on', { timeout: 300_000 }, async (t) => {
  if (process.getuid?.() !== 0 || !existsSync(STRACE)) return t.skip('errors of a disk are made by strace, as root')
  await using disk = await openDisk({ megabytes: 200 })
  if (disk === undefined) return t.skip(NO_DISK)
  await using platform = await startPlatform({ home: join(disk.folder, 'home') })
  const { maker, manager, secret } = await furnish(platform)
  const kept = new Map<string, string>()
  const statuses = new Set<number>()
  const tracer = spawn(STRACE, ['-f', '-qq', '-e', 'trace=fdatasync,fsync', '-e', 'inject=fdatasync,fsync:error=EIO:when=3+4', '-p', `${platform.corePid()}`], {
    stdio: 'ignore',
  })
  try {
    for (let n = 0; n < 60; n++) {
      const [name, payload] = [randomUUID(), randomUUID()]
      const { status, body } = await platform.api('POST', manager, { secret_type: 'arbitrary', name, payload }).catch(() => ({ status: 0, body: {} }))
      statuses.add(status)
      if (status === 201) kept.set(String((body as { id: string }).id), payload)
    }
  } finally {
    tracer.kill('SIGINT')
    await new Promise((done) => tracer.once('exit', done))
  }
  assert.deepEqual(
    [...statuses].filter((status) => status !== 201 && status !== 503 && status !== 0),
    [],
  )
  assert.ok(statuses.has(503) && kept.size > 0, `some failed and some did not: ${[...statuses].join()}`)
  for (const [one, payload] of kept) assert.equal((await platform.api('GET', `${manager}/${one}`)).body.payload, payload)
  await rotated(platform, { maker, manager, secret })
})
