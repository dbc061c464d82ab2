import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { packTar, type TarEntry } from 'modern-tar'

const LEFT_OUT = new Set(['node_modules', '.git'])

/** A folder's files as a tar.gz, the form in which source goes to a build; the same files give the same bytes. */
export async function archiveOf(folder: string): Promise<Uint8Array> {
  const entries = filesOf(folder, '').map((name): TarEntry => {
    const body = readFileSync(join(folder, name))
    const isExecutable = (statSync(join(folder, name)).mode & 0o100) !== 0
    return { header: { name, size: body.length, mode: isExecutable ? 0o755 : 0o644, mtime: new Date(0), type: 'file' }, body }
  })
  return gzipSync(await packTar(entries))
}

function filesOf(folder: string, below: string): string[] {
  return readdirSync(join(folder, below), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      if (LEFT_OUT.has(entry.name)) return []
      const name = below === '' ? entry.name : `${below}/${entry.name}`
      if (entry.isDirectory()) return filesOf(folder, name)
      return entry.isFile() ? [name] : []
    })
}
