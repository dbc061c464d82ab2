// Objects put and got through the platform, beside files written and read on the same filesystem with the same durability, turn by turn;
// what core and edge take while a gigabyte goes through; the first page of a bucket of 100,000 keys beside that of one of 1,000.
//
// The client has one kept connection and a bearer token, on the plain listener that COS_ENDPOINT names. The keys of the two
// large buckets are copies of one object's row, put into the database by one statement: 100,000 requests would measure the puts once more,
// and take minutes. A list reads rows alone.
import { createReadStream, readFileSync } from 'node:fs'
import { mkdir, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { ibmcloudOf } from '@everleaf/tests/support/ibmcloud'
import { freshHome, startPlatform } from '@everleaf/tests/support/platform'
import { openClient } from './client.ts'
import { type Figure, ms, option, percentile, report } from '../lib.ts'

const MIB = 1024 * 1024
const small = option('small', 200)
const large = option('large', 3)
const largeMib = option('mib', 1_024)
const lists = option('lists', 100)

using place = freshHome()
await using platform = await startPlatform(place)
const { done } = ibmcloudOf(place)
await done('resource', 'service-instance-create', 'cos', 'cloud-object-storage', 'standard', 'global')
const crn = (await done('resource', 'service-instance', 'cos', '--crn')).split('\n').find((line) => line.includes(':cloud-object-storage:')) ?? ''
const endpoint = new URL(platform.env.COS_ENDPOINT ?? '')
const client = await openClient({ endpoint, lines: [`Authorization: Bearer ${await platform.token()}`, `ibm-service-instance-id: ${crn}`] })
const piece = Buffer.alloc(MIB)
for (let at = 0; at < MIB; at += 65_536) crypto.getRandomValues(piece.subarray(at, at + 65_536))

const ask = (method: string, path: string) => client.ask(method, path)
const put = (key: string, mib: number) => client.ask('PUT', `/bench/${key}`, { piece, times: mib })

async function get(key: string, mib: number): Promise<void> {
  const size = await ask('GET', `/bench/${key}`)
  if (size !== mib * MIB) throw new Error(`${key} came back with ${size} bytes`)
}

const files = join(place.home, 'data/floor')
await mkdir(files)

async function write(name: string, mib: number): Promise<void> {
  const part = join(files, `${name}.part`)
  {
    await using file = await open(part, 'wx')
    for (let n = 0; n < mib; n++) await file.writeFile(piece)
    await file.sync()
  }
  await rename(part, join(files, name))
  await using folder = await open(files, 'r')
  await folder.sync()
}

async function read(name: string, mib: number): Promise<void> {
  let size = 0
  for await (const chunk of createReadStream(join(files, name))) size += (chunk as Buffer).length
  if (size !== mib * MIB) throw new Error(`${name} came back with ${size} bytes`)
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

/** The medians of as many turns, floor and ours one after the other. */
async function compare(count: number, floor: (n: number) => Promise<unknown>, ours: (n: number) => Promise<unknown>) {
  const times: { floor: number; ours: number }[] = []
  for (let n = 0; n < count; n++) times.push({ floor: await time(() => floor(n)), ours: await time(() => ours(n)) })
  return {
    floor: percentile(
      times.map((one) => one.floor),
      0.5,
    ),
    ours: percentile(
      times.map((one) => one.ours),
      0.5,
    ),
  }
}

const rate = (mib: number, took: number) => `${((mib * 1_000) / took).toFixed(0)} MiB/s`

function speed(what: string, mib: number, { floor, ours }: { floor: number; ours: number }): Figure {
  const value = `${ms(ours)}, ${rate(mib, ours)} = ${(floor / ours).toFixed(2)} x`
  return { what: `${what} (file: ${ms(floor)}, ${rate(mib, floor)})`, value, reach: '>= 0.4 x', met: floor / ours >= 0.4 }
}

const mibOf = (pid: number) => Number(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').match(/^Pss:\s+(\d+)/m)?.[1] ?? 0) / 1_024
const processes = { core: platform.corePid(), edge: platform.child.pid ?? 0 }

/** MiB that core and edge hold at most while the work runs. */
async function peaks(work: () => Promise<unknown>): Promise<{ core: number; edge: number }> {
  const most = { core: 0, edge: 0 }
  let isOver = false
  const looking = (async () => {
    for (; !isOver; await sleep(50)) for (const name of ['core', 'edge'] as const) most[name] = Math.max(most[name], mibOf(processes[name]))
  })()
  await work()
  isOver = true
  await looking
  return most
}

await ask('PUT', '/bench')
for (let n = 0; n < 20; n++) await put('warm', 1).then(() => get('warm', 1))
const figures: Figure[] = []
const both = `${small} objects of 1 MiB, one after the other`
figures.push(
  speed(
    `put ${both}`,
    1,
    await compare(
      small,
      (n) => write(`s${n}`, 1),
      (n) => put(`s${n}`, 1),
    ),
  ),
)
figures.push(
  speed(
    `get ${both}`,
    1,
    await compare(
      small,
      (n) => read(`s${n}`, 1),
      (n) => get(`s${n}`, 1),
    ),
  ),
)
const mib = largeMib
figures.push(
  speed(
    `put ${large} objects of ${mib} MiB`,
    mib,
    await compare(
      large,
      (n) => write(`l${n}`, mib),
      (n) => put(`l${n}`, mib),
    ),
  ),
)
figures.push(
  speed(
    `get ${large} objects of ${mib} MiB`,
    mib,
    await compare(
      large,
      (n) => read(`l${n}`, mib),
      (n) => get(`l${n}`, mib),
    ),
  ),
)

const sixteenth = mib / 16
for (const [what, work] of [
  ['put', put],
  ['get', get],
] as const) {
  const key = (size: number) => (what === 'put' ? `m${size}` : size === mib ? 'l0' : `m${size}`)
  const few = await peaks(async () => {
    for (let n = 0; n < 16; n++) await work(key(sixteenth), sixteenth)
  })
  const many = await peaks(() => work(key(mib), mib))
  const growth = Math.max(many.core - few.core, many.edge - few.edge)
  figures.push({
    what: `most memory while ${what} of ${mib} MiB, PSS of core and edge (16 times ${sixteenth} MiB: ${few.core.toFixed(0)} and ${few.edge.toFixed(0)} MiB)`,
    value: `${many.core.toFixed(0)} and ${many.edge.toFixed(0)} MiB`,
    reach: '<= 16 MiB more',
    met: growth <= 16,
  })
}

const counts = { few: 1_000, many: 100_000 }
for (const [bucket, count] of Object.entries(counts)) {
  await ask('PUT', `/${bucket}`)
  await ask('PUT', `/${bucket}/one`)
  const db = new DatabaseSync(join(place.home, 'data/everleaf.db'), { timeout: 5_000 })
  const columns = 'blob, sealed, size, etag, headers, checksums, modified_at'
  db.exec(`WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
    INSERT INTO cos_objects (bucket, key, ${columns})
    SELECT bucket, printf('folder/key-%08d', i), ${columns} FROM n, cos_objects WHERE bucket = '${bucket}' AND key = 'one'`)
  db.close()
}
const page = (bucket: string) => ask('GET', `/${bucket}?list-type=2`)
for (let n = 0; n < 10; n++) await page('few').then(() => page('many'))
const pages = await compare(
  lists,
  () => page('few'),
  () => page('many'),
)
figures.push({
  what: `first page of a bucket of 100,000 keys, ${lists} times (of one of 1,000: ${ms(pages.floor)})`,
  value: `${ms(pages.ours)} = ${(pages.ours / pages.floor).toFixed(2)} x`,
  reach: '<= 1.5 x',
  met: pages.ours / pages.floor <= 1.5,
})
client.close()
report('objects', figures)
