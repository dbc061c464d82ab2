import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, open, stat, symlink } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { BuildFailed } from '@everleaf/engine'
import { createTarDecoder, type TarHeader } from 'modern-tar'
import { IMAGE_FILE } from './image.ts'

export type ArchiveLimits = { readonly maxBytes: number; readonly maxEntries: number; readonly maxRatio: number }

/** threats-and-faults §7. */
export const ARCHIVE_LIMITS: ArchiveLimits = { maxBytes: 500 * 1024 * 1024, maxEntries: 50_000, maxRatio: 100 }
/** A small archive may be as repetitive as it likes. */
const RATIO_FROM_BYTES = 10 * 1024 * 1024

export type Entry =
  | { readonly kind: 'file'; readonly path: string; readonly size: number; readonly executable: boolean }
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  | { readonly kind: 'copy'; readonly path: string; readonly of: string }

/**
 * Unpacks a tar.gz into an empty folder, entry by entry and nothing outside it; owners and special modes are not kept. Links are made last, so
 * that nothing is ever written through one. Returns the digest of the content. Throws BuildFailed naming the entry that was refused.
 */
export async function extractArchive(input: { archive: string; into: string; limits?: ArchiveLimits; signal?: AbortSignal }): Promise<string> {
  const limits = input.limits ?? ARCHIVE_LIMITS
  const check = createEntryCheck(limits)
  const links: Extract<Entry, { kind: 'symlink' }>[] = []
  const digests = new Map<string, string>()
  try {
    const stream = Readable.toWeb(await openArchive(input.archive, limits, input.signal)) as ReadableStream<Uint8Array>
    for await (const { header, body } of stream.pipeThrough(createTarDecoder({ strict: true }))) {
      const entry = check(header)
      if (entry?.kind === 'file') digests.set(entry.path, await writeFile(input.into, entry, body))
      else await body.cancel()
      if (entry?.kind === 'directory') await mkdir(join(input.into, entry.path), { recursive: true })
      if (entry?.kind === 'symlink') links.push(entry)
      if (entry?.kind === 'copy') {
        await mkdir(dirname(join(input.into, entry.path)), { recursive: true })
        await copyFile(join(input.into, entry.of), join(input.into, entry.path))
        digests.set(entry.path, digests.get(entry.of) ?? '')
      }
    }
  } catch (error) {
    if (error instanceof BuildFailed || input.signal?.aborted) throw error
    throw new BuildFailed('failed', `The source is not a whole tar.gz archive: pack it again. (${error instanceof Error ? error.message : error})`, {
      cause: error,
    })
  }
  for (const { path, target } of links) {
    await mkdir(dirname(join(input.into, path)), { recursive: true })
    await symlink(target, join(input.into, path))
    digests.set(path, `link ${target}`)
  }
  if (digests.size === 0) throw new BuildFailed('failed', 'The source archive has no files: check the folder that was packed.')
  return digestOf(digests)
}

/**
 * Decides on one entry after another: what it becomes, or why the archive is refused (T84). undefined for the folder itself.
 *
 * | entry                                               | becomes              |
 * | --------------------------------------------------- | -------------------- |
 * | file, directory, link that stays inside             | itself               |
 * | hard link to an earlier file                        | a copy of that file  |
 * | absolute, "..", control characters                  | refused              |
 * | link whose target leaves, or goes up after going down | refused            |
 * | device, pipe, sparse file                           | refused              |
 * | same name twice, or names that differ in case only  | refused              |
 * | something below a file or a link                    | refused              |
 */
export function createEntryCheck(limits: ArchiveLimits): (header: TarHeader) => Entry | undefined {
  const kinds = new Map<string, Entry['kind']>()
  const spelled = new Map<string, string>()
  const sizes = new Map<string, number>()
  let entries = 0
  let bytes = 0
  const refuse = (name: string, why: string): never => {
    throw new BuildFailed('failed', `The source archive is refused: ${JSON.stringify(name.slice(0, 200))} ${why}.`)
  }
  const take = (path: string, kind: Entry['kind'], name: string) => {
    const folded = path.normalize('NFC').toLowerCase()
    const before = spelled.get(folded)
    if (before !== undefined && before !== path) refuse(name, `differs from ${JSON.stringify(before)} in case only`)
    const known = kinds.get(path)
    if (known !== undefined && !(known === 'directory' && kind === 'directory'))
      refuse(name, known === 'directory' || kind === 'directory' ? 'is a file and a folder' : 'is there twice')
    spelled.set(folded, path)
    kinds.set(path, kind)
  }
  return (header) => {
    const { name } = header
    if (++entries > limits.maxEntries) refuse(name, `is one entry more than the ${limits.maxEntries} that are allowed`)
    const path = insidePath(name, refuse)
    if (path === undefined) return undefined
    const parts = path.split('/')
    for (let depth = 1; depth < parts.length; depth++) {
      const parent = parts.slice(0, depth).join('/')
      const kind = kinds.get(parent)
      if (kind !== undefined && kind !== 'directory') refuse(name, 'lies below something that is not a folder')
      take(parent, 'directory', name)
    }
    if (path === IMAGE_FILE) refuse(name, 'is a name that Everleaf keeps for itself')
    const entry = entryOf(header, path, { kinds, refuse })
    take(path, entry.kind, name)
    if (entry.kind === 'file') sizes.set(path, entry.size)
    if (entry.kind === 'copy') sizes.set(path, sizes.get(entry.of) ?? 0)
    bytes += sizes.get(path) ?? 0
    if (bytes > limits.maxBytes) refuse(name, `makes it larger than the ${limits.maxBytes} bytes that are allowed`)
    return entry
  }
}

type Refuse = (name: string, why: string) => never

function insidePath(name: string, refuse: Refuse): string | undefined {
  if (/[\u0000-\u001f\u007f\\]/.test(name)) refuse(name, 'has characters that no portable file name has')
  if (name.startsWith('/') || /^[A-Za-z]:/.test(name)) refuse(name, 'is an absolute path')
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..')) refuse(name, 'leaves the archive')
  if (parts.some((part) => Buffer.byteLength(part) > 255) || Buffer.byteLength(name) > 1024) refuse(name, 'is too long')
  return parts.length === 0 ? undefined : parts.join('/')
}

function entryOf(header: TarHeader, path: string, { kinds, refuse }: { kinds: ReadonlyMap<string, Entry['kind']>; refuse: Refuse }): Entry {
  const { name, linkname = '' } = header
  switch (header.type ?? 'file') {
    case 'file':
      if (Object.keys(header.pax ?? {}).some((key) => key.startsWith('GNU.sparse'))) refuse(name, 'is stored sparse: pack it without --sparse')
      if (!Number.isSafeInteger(header.size) || header.size < 0) refuse(name, 'has no proper size')
      return { kind: 'file', path, size: header.size, executable: ((header.mode ?? 0) & 0o111) !== 0 }
    case 'directory':
      return { kind: 'directory', path }
    case 'symlink': {
      const parts = linkname.split('/').filter((part) => part !== '' && part !== '.')
      const wandering = parts.slice(parts.lastIndexOf('..') + 1).length !== parts.filter((part) => part !== '..').length
      const resolved = posix.join(posix.dirname(path), linkname)
      if (linkname === '' || linkname.startsWith('/') || linkname.includes('\0') || wandering || resolved === '..' || resolved.startsWith('../'))
        refuse(name, 'links out of the archive')
      return { kind: 'symlink', path, target: linkname }
    }
    case 'link': {
      const of = insidePath(linkname, refuse) ?? ''
      if (kinds.get(of) !== 'file') refuse(name, 'is a hard link to something that is not an earlier file')
      return { kind: 'copy', path, of }
    }
    default:
      return refuse(name, `is a ${header.type}: only files, folders and links are taken`)
  }
}

async function openArchive(archive: string, limits: ArchiveLimits, signal: AbortSignal | undefined): Promise<Readable> {
  const { size } = await stat(archive)
  if (size > limits.maxBytes) throw new BuildFailed('failed', `The source archive is larger than ${limits.maxBytes} bytes.`)
  const most = Math.max(RATIO_FROM_BYTES, size * limits.maxRatio)
  const file = createReadStream(archive, signal ? { signal } : {})
  const unzipped = createGunzip()
  file.on('error', (error) => unzipped.destroy(error))
  return Readable.from(counted(file.pipe(unzipped), most), { objectMode: false })
}

/** Names, sizes and padding count too, so the sum of files alone is not enough. */
async function* counted(stream: AsyncIterable<Buffer>, most: number): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const chunk of stream) {
    bytes += chunk.length
    if (bytes > most) throw new BuildFailed('failed', 'The source archive is refused: it unpacks to more than a hundred times its size.')
    yield chunk
  }
}

async function writeFile(into: string, entry: Extract<Entry, { kind: 'file' }>, body: ReadableStream<Uint8Array>): Promise<string> {
  const path = join(into, entry.path)
  await mkdir(dirname(path), { recursive: true })
  const hash = createHash('sha256')
  await using file = await open(path, 'wx', entry.executable ? 0o755 : 0o644)
  for await (const chunk of body) {
    hash.update(chunk)
    await file.write(chunk)
  }
  return `${entry.executable ? 'x' : '-'} ${hash.digest('hex')}`
}

function digestOf(digests: ReadonlyMap<string, string>): string {
  const hash = createHash('sha256')
  for (const [path, digest] of [...digests].sort(([a], [b]) => (a < b ? -1 : 1))) hash.update(`${digest} ${path}\n`)
  return `sha256:${hash.digest('hex')}`
}
