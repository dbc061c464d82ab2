import { createHash } from 'node:crypto'
import { mkdir, open, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { ApiError, type ByteStream } from '@everleaf/http'
import { syncPath } from '@everleaf/world'
import { findBuild } from './builds.ts'
import { CODES } from './errors.ts'
import { activeProject, inProject } from './projects.ts'
import { type Deps, lookup, type Tables } from './service.ts'

/** Sources of at most 500 MB (threats-and-faults, limits). */
const MAX_ARCHIVE_BYTES = 500_000_000

// operations
/**
 * Everleaf's own route: the source of a build with source_type local, as a tar.gz. IBM's client packs sources into its registry.
 * Not inside a transaction, because the upload may take minutes; what the archive holds is checked where it is unpacked.
 */
export const put = lookup({
  ...inProject,
  takes: 'stream',
  audit: true,
  status: 201,
  async run({ db, deps }, { params, body }) {
    const project = await activeProject(db, params)
    const build = await findBuild(db, project.id, params.name ?? '')
    const { id, size } = await storeArchive(body as unknown as ByteStream | undefined, deps)
    await deps.store.write(async (tx) => {
      const changed = await tx.tables<Tables>().updateTable('ce_builds').set({ archive: id }).where('id', '=', build.id).executeTakeFirst()
      if (changed.numUpdatedRows === 0n) throw new ApiError(404, CODES.notFound, 'The build was deleted while its source came in.')
    })
    return { id, size }
  },
})

// rows
/** Path of an archive, relative to the data folder. */
export function archivePath(id: string): string {
  return `archives/${id}.tar.gz`
}

/** Writes a stream to the archives, on disk whole or not at all; its name is its SHA-256. */
async function storeArchive(body: ByteStream | undefined, { settings, world }: Deps): Promise<{ id: string; size: number }> {
  if (body === undefined) throw new ApiError(400, CODES.invalidInput, 'The body is empty. Send the source as a tar.gz.')
  const folder = join(settings.dataFolder, 'archives')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const part = join(folder, `.${world.id()}.part`)
  try {
    const { id, size } = await writePart(body, part, settings.maxArchiveBytes ?? MAX_ARCHIVE_BYTES)
    await rename(part, join(settings.dataFolder, archivePath(id)))
    await syncPath(folder)
    return { id, size }
  } catch (error) {
    await unlink(part).catch(() => {
      // It was not created, or it is renamed already.
    })
    throw error
  }
}

async function writePart(body: ByteStream, part: string, maxBytes: number): Promise<{ id: string; size: number }> {
  const hash = createHash('sha256')
  let size = 0
  let start = Buffer.alloc(0)
  await using file = await open(part, 'wx', 0o600)
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) throw new ApiError(413, CODES.tooLarge, `The source is larger than ${maxBytes} bytes. Leave out what the build does not need.`)
    if (start.length < 2) start = Buffer.concat([start, chunk.subarray(0, 2)])
    hash.update(chunk)
    await file.writeFile(chunk)
  }
  if (start[0] !== 0x1f || start[1] !== 0x8b) throw new ApiError(400, CODES.invalidInput, 'The source is no gzip file. Send a tar.gz.')
  await file.sync()
  return { id: hash.digest('hex'), size }
}
