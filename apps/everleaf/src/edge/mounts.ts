import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { MountItem } from '@everleaf/link'

/**
 * The folders that instances see at their mount paths. A version is a folder of its own and `..data` a link to it, as Kubernetes does it:
 * a reader that goes through the link sees the files of one version together.
 */
export type Mounts = {
  /** The folder of a mount, written now if it is not there. */
  readonly folderOf: (key: string, item: MountItem) => string
  readonly update: (key: string, item: MountItem) => void
  readonly remove: (key: string) => void
  /** Nothing of them stays on disk; once no instance runs any more. */
  readonly close: () => void
}

const SAFE_NAME = /^[A-Za-z0-9._-]{1,253}$/

export function createMounts(options: { root: string; crashPoint: (name: string) => void }): Mounts {
  const current = new Map<string, string>()
  rmSync(options.root, { recursive: true, force: true })
  mkdirSync(options.root, { recursive: true, mode: 0o711 })
  const folderFor = (key: string) => join(options.root, Buffer.from(key).toString('base64url'))

  const update = (key: string, item: MountItem) => {
    if (current.get(key) === item.version) return
    const folder = folderFor(key)
    const data = `..${item.version.replace(/[^A-Za-z0-9-]/g, '-')}-${current.size}-${Object.keys(item.files).length}`
    rmSync(join(folder, data), { recursive: true, force: true })
    mkdirSync(join(folder, data), { recursive: true, mode: 0o755 })
    for (const [name, text] of Object.entries(item.files)) if (isFileName(name)) writeFileSync(join(folder, data, name), text, { mode: 0o444 })
    options.crashPoint('ce.mount-written')
    swapLink(folder, data)
    options.crashPoint('ce.mount-renamed')
    linkFiles(folder, item)
    current.set(key, item.version)
    for (const name of readdirSync(folder))
      if (name.startsWith('..') && name !== '..data' && name !== data) rmSync(join(folder, name), { recursive: true, force: true })
  }
  return {
    update: (key, item) => void (current.has(key) && update(key, item)),
    folderOf(key, item) {
      update(key, item)
      return folderFor(key)
    },
    remove(key) {
      if (current.delete(key)) rmSync(folderFor(key), { recursive: true, force: true })
    },
    close: () => rmSync(options.root, { recursive: true, force: true }),
  }
}

/** Keys of secrets and config maps become file names: nothing that leads elsewhere (T83). */
export function isFileName(name: string): boolean {
  return SAFE_NAME.test(name) && name !== '.' && !name.startsWith('..')
}

function swapLink(folder: string, target: string): void {
  const next = join(folder, '..data_next')
  rmSync(next, { force: true })
  symlinkSync(target, next)
  renameSync(next, join(folder, '..data'))
}

function linkFiles(folder: string, item: MountItem): void {
  const there = new Set(readdirSync(folder).filter((name) => !name.startsWith('..')))
  for (const name of Object.keys(item.files)) if (isFileName(name) && !there.delete(name)) symlinkSync(join('..data', name), join(folder, name))
  for (const gone of there) rmSync(join(folder, gone))
}
