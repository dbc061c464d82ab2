import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BuildFailed, type BuildRequest, type BuildResult, type Commit } from '@everleaf/engine'
import { syncPath, type World } from '@everleaf/world'
import { type Cidr, systemLookup } from '@everleaf/world/addresses'
import { extractArchive } from './archive.ts'
import { openDependencyCache } from './dependency-cache.ts'
import { detect } from './detect.ts'
import { fetchGit } from './git-source.ts'
import { IMAGE_FILE, type Image } from './image.ts'
import type { Workbench } from './languages/language.ts'
import { SYSTEM_PATH } from './launcher.ts'
import { syncTree } from './sync-tree.ts'
import { toolRunner } from './tools.ts'

export type BuildDeps = {
  readonly world: World
  /** Environment of npm, pip, go and mvn, so that they find the machine's own configuration. */
  readonly env: Readonly<Record<string, string>>
  /** Absolute path of a folder for dependencies that are kept between builds. */
  readonly directory: string
  /** Absolute path of a folder that tools do not see when they run code of packages. */
  readonly hidden: string
  /** Blocks beside the public internet where repositories may be fetched from. */
  readonly allowPrivate: readonly Cidr[]
}

/** Makes an image next to its final place and renames it there, so that it appears whole or not at all, and is on disk then. Throws BuildFailed. */
export async function buildImage(request: BuildRequest, deps: BuildDeps): Promise<BuildResult> {
  const { world } = deps
  const work = workFolder(request, world)
  const late = new AbortController()
  const timer = world.after(request.timeoutMs, () => late.abort(new BuildFailed('timeout', `The build took longer than ${request.timeoutMs} ms.`)))
  const signal = request.signal === undefined ? late.signal : AbortSignal.any([late.signal, request.signal])
  try {
    await mkdir(work, { recursive: true, mode: 0o755 })
    const { digest, commit } = await unpack(request, deps, { into: work, signal })
    const names = new Set(await readdir(work))
    if (names.has('Dockerfile')) request.log('The Dockerfile is not used: the source is built by the own tools of its language.')
    const text = (name: string) => readFileSync(join(work, name), 'utf8')
    const detected = detect({ names, text, exists: (path) => existsSync(join(work, path)) })
    const command = (await detected.prepare(workbench({ folder: work, deps, signal, log: request.log }))) ?? detected.command
    request.log(`${detected.language} program, started by: ${command.join(' ')}`)
    signal.throwIfAborted()
    const image: Image = { language: detected.language, command, env: detected.env, digest }
    await writeFile(join(work, IMAGE_FILE), JSON.stringify(image), { mode: 0o644 })
    await syncTree(work)
    await rename(work, request.image)
    await syncPath(dirname(request.image))
    return { digest, language: detected.language, command, ...(commit === undefined ? {} : { commit }) }
  } catch (error) {
    await rm(work, { recursive: true, force: true })
    throw signal.aborted ? signal.reason : error
  } finally {
    timer.cancel()
  }
}

/** Beside the image; what a kill leaves of it is removed at the next start. */
function workFolder({ image }: BuildRequest, world: World): string {
  return `${image}.building-${world.id().slice(0, 8)}`
}

type Unpacked = { readonly digest: string; readonly commit?: Commit }

/** Fetches the source where it is a repository, and unpacks it. Throws BuildFailed. */
async function unpack(request: BuildRequest, deps: BuildDeps, { into, signal }: { into: string; signal: AbortSignal }): Promise<Unpacked> {
  const { source, log } = request
  if ('archive' in source) return { digest: await extractArchive({ archive: source.archive, into, signal }) }
  const { world, env, allowPrivate } = deps
  const folder = workFolder(request, world)
  try {
    const { archive, commit } = await fetchGit(source.git, { folder, env, signal, log, lookup: systemLookup, allowPrivate })
    return { digest: await extractArchive({ archive, into, signal }), commit }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

type BenchOptions = { readonly folder: string; readonly deps: BuildDeps; readonly signal: AbortSignal; readonly log: (text: string) => void }

function workbench({ folder, deps, signal, log }: BenchOptions): Workbench {
  const cache = openDependencyCache(join(deps.directory, 'dependencies'))
  return {
    folder,
    log,
    run: toolRunner({ cwd: folder, env: deps.env, signal, log, hidden: deps.hidden }),
    program(name, install) {
      const found = SYSTEM_PATH.split(':')
        .map((place) => join(place, name))
        .find((path) => existsSync(path))
      if (found === undefined) throw new BuildFailed('failed', `${name} is not on this machine where instances see it (${SYSTEM_PATH}): ${install}.`)
      return found
    },
    async cached(name, key, make) {
      const at = join(folder, name)
      // One that came with the source is replaced, as `npm ci` does.
      await rm(at, { recursive: true, force: true })
      if (await cache.bring(key, at)) return log(`${name} is as it was made before from the same list.`)
      await make()
      await syncTree(at)
      await cache.keep(key, at)
    },
  }
}
