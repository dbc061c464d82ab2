import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { crc32, deflateRawSync, gzipSync } from 'node:zlib'
import { BuildFailed } from '@everleaf/engine'
import { packTar, type TarEntry } from 'modern-tar'
import { ARCHIVE_LIMITS, type ArchiveLimits, createEntryCheck, extractArchive } from '../src/archive.ts'

const folder = mkdtempSync(join(tmpdir(), 'everleaf-archive-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let count = 0

const file = (name: string, body = 'x', mode = 0o644): TarEntry => ({ header: { name, size: Buffer.byteLength(body), type: 'file', mode }, body })
const link = (name: string, linkname: string, type: 'symlink' | 'link' = 'symlink'): TarEntry => ({ header: { name, size: 0, type, linkname } })
const other = (name: string, type: 'character-device' | 'block-device' | 'fifo' | 'directory'): TarEntry => ({ header: { name, size: 0, type } })

async function extract(bytes: Uint8Array, limits?: ArchiveLimits): Promise<{ into: string; digest: string }> {
  const into = join(folder, `out-${++count}`, 'image')
  mkdirSync(into, { recursive: true })
  writeFileSync(`${into}.tar.gz`, bytes)
  return { into, digest: await extractArchive({ archive: `${into}.tar.gz`, into, ...(limits ? { limits } : {}) }) }
}

const hostile: readonly (readonly [string, readonly TarEntry[], RegExp])[] = [
  ['an absolute name', [file('/etc/evil')], /absolute/],
  ['a name that goes up', [file('../evil')], /leaves/],
  ['a name that goes down and up', [file('a/../../evil')], /leaves/],
  ['a Windows name', [file('C:/evil')], /absolute/],
  ['a backslash', [file('a\\..\\evil')], /portable/],
  ['a line break in a name', [file('a\nb')], /portable/],
  ['a link to an absolute path', [link('a', '/etc/passwd')], /links out/],
  ['a link that goes up', [link('a', '../evil')], /links out/],
  ['a link that goes down and up', [file('d/x'), link('a', 'd/../../evil')], /links out/],
  ['a link through a link', [link('deep/one', '..'), link('two', 'deep/one/../evil')], /links out/],
  ['a file below a link', [link('a', '.'), file('a/x')], /below something/],
  ['a file below a file', [file('a'), file('a/x')], /below something/],
  ['a file over a link', [link('a', 'b'), file('a')], /there twice/],
  ['a file over a folder', [file('a/x'), file('a')], /a file and a folder/],
  ['a hard link out', [link('a', '../../etc/passwd', 'link')], /leaves/],
  ['a hard link to nothing', [link('a', 'b', 'link')], /not an earlier file/],
  ['a hard link to a link', [link('a', 'b'), link('c', 'a', 'link')], /not an earlier file/],
  ['a character device', [other('a', 'character-device')], /only files/],
  ['a block device', [other('a', 'block-device')], /only files/],
  ['a pipe', [other('a', 'fifo')], /only files/],
  ['names that differ in case only', [file('README'), file('readme')], /case only/],
  ['folders that differ in case only', [file('Src/a'), file('src/b')], /case only/],
  ['the same name twice', [file('a'), file('a')], /there twice/],
  ['our own name', [file('./everleaf-image.json')], /keeps for itself/],
  ['no file at all', [other('a', 'directory')], /no files/],
]

for (const [what, entries, reason] of hostile)
  test(`extractArchive() refuses ${what}`, async () => {
    await assert.rejects(
      async () => extract(gzipSync(await packTar(entries))),
      (error) => error instanceof BuildFailed && reason.test(error.message),
    )
    assert.deepEqual(readdirSync(join(folder, `out-${count}`)).sort(), ['image', 'image.tar.gz'])
    assert.equal(existsSync(join(folder, 'evil')), false)
  })

/** A tar entry byte by byte, for what no library would write. */
function rawEntry(type: string, name: string, { body = '', size, linkname = '' }: { body?: string; size?: Buffer; linkname?: string } = {}): Buffer {
  const head = Buffer.alloc(512)
  head.write(name, 0, 100)
  head.write('0000644\0', 100)
  ;(size ?? Buffer.from(`${Buffer.byteLength(body).toString(8).padStart(11, '0')}\0`)).copy(head, 124)
  head.write('00000000000\0', 136)
  head.write('        ', 148)
  head.write(type, 156)
  head.write(linkname, 157, 100)
  head.write('ustar\x0000', 257)
  head.write(
    `${head
      .reduce((sum, byte) => sum + byte)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  )
  return Buffer.concat([head, Buffer.from(body), Buffer.alloc((512 - (Buffer.byteLength(body) % 512)) % 512)])
}
const pax = (key: string, value: string) => {
  const rest = ` ${key}=${value}\n`
  let length = rest.length + 1
  while (`${length}`.length + rest.length !== length) length++
  return `${length}${rest}`
}
const END = Buffer.alloc(1024)
const base256 = (bytes: readonly number[]) => Buffer.from([...bytes, ...Array.from({ length: 12 - bytes.length }, () => 0xff)])

for (const [what, entries] of [
  ['a pax name that goes up', [rawEntry('x', 'p', { body: pax('path', '../evil') }), rawEntry('0', 'good', { body: 'x' })]],
  ['an absolute pax name', [rawEntry('x', 'p', { body: pax('path', '/etc/evil') }), rawEntry('0', 'good', { body: 'x' })]],
  ['a pax target that leaves', [rawEntry('x', 'p', { body: pax('linkpath', '../../evil') }), rawEntry('2', 'good', { linkname: 'inside' })]],
  ['a global pax name that goes up', [rawEntry('g', 'p', { body: pax('path', '../evil') }), rawEntry('0', 'good', { body: 'x' })]],
  [
    "GNU's long name that goes up",
    [rawEntry('L', '././@LongLink', { body: `${'a/'.repeat(60)}${'../'.repeat(61)}evil\0` }), rawEntry('0', 'good', { body: 'x' })],
  ],
  ["GNU's long target that leaves", [rawEntry('K', '././@LongLink', { body: '../../evil\0' }), rawEntry('2', 'good', { linkname: 'inside' })]],
  ['a negative size', [rawEntry('0', 'good', { size: base256([0xff]) })]],
  ['a size beyond all numbers', [rawEntry('0', 'good', { size: base256([0x80, 0x7f]) })]],
  [
    'a sparse file, whose bytes are not its content',
    [
      rawEntry('x', 'p', { body: pax('GNU.sparse.major', '1') + pax('GNU.sparse.name', 'good') }),
      rawEntry('0', 'GNUSparseFile.0/good', { body: '1\n0\n1\nx' }),
    ],
  ],
  ['a contiguous file by another name twice', [rawEntry('0', 'a/./b', { body: 'x' }), rawEntry('0', 'a//b', { body: 'y' })]],
  ['case that differs outside of ASCII', [rawEntry('0', '\u00c9t\u00e9', { body: 'x' }), rawEntry('0', '\u00e9t\u00e9', { body: 'y' })]],
  ['one name in two normal forms', [rawEntry('0', '\u00e9', { body: 'x' }), rawEntry('0', 'e\u0301', { body: 'y' })]],
] as const)
  test(`extractArchive() refuses ${what}`, async () => {
    await assert.rejects(async () => extract(gzipSync(Buffer.concat([...entries, END]))), BuildFailed)
    assert.deepEqual(readdirSync(join(folder, `out-${count}`)).sort(), ['image', 'image.tar.gz'])
    assert.equal(existsSync(join(folder, 'evil')), false)
  })

test('a raw entry of these tests is an entry: one that is good is taken', async () => {
  const { into } = await extract(gzipSync(Buffer.concat([rawEntry('x', 'p', { body: pax('path', 'by/pax') }), rawEntry('0', 'good', { body: 'x' }), END])))
  assert.equal(readFileSync(join(into, 'by/pax'), 'utf8'), 'x')
})

const small: ArchiveLimits = { maxBytes: 1000, maxEntries: 3, maxRatio: 100 }
for (const [what, entries, fits] of [
  ['as many bytes as are allowed', [file('a', 'x'.repeat(600)), file('b', 'x'.repeat(400))], true],
  ['one byte more', [file('a', 'x'.repeat(600)), file('b', 'x'.repeat(401))], false],
  ['bytes again by a hard link', [file('a', 'x'.repeat(501)), link('b', 'a', 'link')], false],
  ['as many entries as are allowed', [file('a'), file('b'), file('c')], true],
  ['one entry more', [file('a'), file('b'), file('c'), file('d')], false],
] as const)
  test(`extractArchive() ${fits ? 'takes' : 'refuses'} ${what}`, async () => {
    const bytes = gzipSync(await packTar(entries))
    if (fits) await extract(bytes, small)
    else await assert.rejects(extract(bytes, small), BuildFailed)
  })

test('extractArchive() refuses what unpacks to more than a hundred times its size', async () => {
  const bomb = gzipSync(await packTar([file('a', '\0'.repeat(12 * 1024 * 1024))]))
  await assert.rejects(extract(bomb), (error) => error instanceof BuildFailed && /hundred times/.test(error.message))
})

/** A gzip of exactly so many bytes: the name in its head takes the room. */
function gzipOf(bytes: number, content: Buffer): Buffer {
  const body = deflateRawSync(content, { level: 9 })
  const end = Buffer.alloc(8)
  end.writeUInt32LE(crc32(content), 0)
  end.writeUInt32LE(content.length, 4)
  const head = Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3])
  return Buffer.concat([head, Buffer.alloc(bytes - head.length - 1 - body.length - end.length, 'n'), Buffer.from([0]), body, end])
}

test('extractArchive() takes what unpacks to a hundred times its size, and refuses what is a byte smaller itself', async () => {
  const content = await packTar([file('a', '\0'.repeat(12_800_000 - 1_536))])
  assert.equal(content.length, 12_800_000)
  await extract(gzipOf(128_000, Buffer.from(content)))
  await assert.rejects(async () => extract(gzipOf(127_999, Buffer.from(content))), /hundred times/)
})

test('the limits of an archive: 50,000 entries and 500 MiB are taken, and nothing more', () => {
  const entry = (name: string, size: number) => ({ name, size, type: 'file' as const })
  const counted = createEntryCheck(ARCHIVE_LIMITS)
  for (let n = 0; n < 50_000; n++) counted(entry(`f${n}`, 0))
  assert.throws(() => counted(entry('more', 0)), /one entry more than the 50000/)
  const sized = createEntryCheck(ARCHIVE_LIMITS)
  sized(entry('a', 500 * 1024 * 1024))
  assert.throws(() => sized(entry('b', 1)), /larger than the 524288000 bytes/)
})

for (const [what, bytes] of [
  ['text', async () => Buffer.from('no archive')],
  ['a gzip of text', async () => gzipSync('no archive'.repeat(100))],
  ['half an archive', async () => gzipSync(await packTar([file('a', 'x'.repeat(10_000))])).subarray(0, 40)],
  ['an archive cut inside a file', async () => gzipSync((await packTar([file('a', 'x'.repeat(10_000))])).subarray(0, 3000))],
  ['an archive with a wrong checksum', async () => gzipSync((await packTar([file('a')])).map((byte, at) => (at === 0 ? 98 : byte)))],
] as const)
  test(`extractArchive() refuses ${what}`, async () => {
    await assert.rejects(async () => extract(await bytes()), BuildFailed)
  })

test('extractArchive() keeps content, execution and inner links, and nothing else', async () => {
  const { into } = await extract(
    gzipSync(
      await packTar([
        other('./', 'directory'),
        file('./bin/run', '#!/bin/sh', 0o4777),
        link('lib/current', '../bin'),
        link('copy', 'bin/run', 'link'),
        file('ünï code'),
      ]),
    ),
  )
  assert.equal(readFileSync(join(into, 'lib/current/run'), 'utf8'), '#!/bin/sh')
  assert.equal(readFileSync(join(into, 'copy'), 'utf8'), '#!/bin/sh')
  assert.equal(statSync(join(into, 'bin/run')).mode & 0o7777, 0o755)
})

test('extractArchive() gives a digest of content and not of order or time', async () => {
  const digest = async (entries: readonly TarEntry[]) => (await extract(gzipSync(await packTar(entries)))).digest
  const one = await digest([file('a'), file('b')])
  assert.equal(await digest([file('b'), file('a')]), one)
  assert.notEqual(await digest([file('a'), file('b', 'y')]), one)
  assert.notEqual(await digest([file('a'), file('b', 'x', 0o755)]), one)
})
