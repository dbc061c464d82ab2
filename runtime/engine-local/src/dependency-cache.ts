import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, link, mkdir, readdir, rename, rm, stat, symlink, readlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Folders of dependencies kept beside the images, named by what they were made from; files are shared by hard links, which nobody writes to. */
export type DependencyCache = {
  /** Lays the kept folder at `to`; false when there is none. */
  bring(key: readonly string[], to: string): Promise<boolean>
  /** Keeps `from`, which stays where it is. */
  keep(key: readonly string[], from: string): Promise<void>
}

/** `limit`: how many folders are kept; the oldest go first. */
export function openDependencyCache(directory: string, limit = 50): DependencyCache {
  const at = (key: readonly string[]) => join(directory, createHash('sha256').update(JSON.stringify(key)).digest('hex'))
  return {
    async bring(key, to) {
      const kept = at(key)
      if (!existsSync(kept)) return false
      await mkdir(dirname(to), { recursive: true })
      await linkFolder(kept, to)
      return true
    },
    async keep(key, from) {
      const kept = at(key)
      if (existsSync(kept) || !existsSync(from)) return
      const next = `${kept}.${process.pid}`
      await mkdir(directory, { recursive: true, mode: 0o700 })
      await rm(next, { recursive: true, force: true })
      await linkFolder(from, next)
      await rename(next, kept).catch(() => rm(next, { recursive: true, force: true }))
      await forgetOldest(directory, limit)
    },
  }
}

async function linkFolder(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o755 })
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) await linkFolder(source, target)
    else if (entry.isSymbolicLink()) await symlink(await readlink(source), target)
    // Another file system, or too many links: a copy does as well.
    else await link(source, target).catch(() => cp(source, target))
  }
}

async function forgetOldest(directory: string, limit: number): Promise<void> {
  const kept = await Promise.all((await readdir(directory)).map(async (name) => ({ name, at: (await stat(join(directory, name))).mtimeMs })))
  for (const { name } of kept.sort((one, other) => other.at - one.at).slice(limit)) await rm(join(directory, name), { recursive: true, force: true })
}
