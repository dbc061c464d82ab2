import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Engine } from '@everleaf/engine'
import { createWorld } from '@everleaf/world'
import { packTar, type TarEntry } from 'modern-tar'
import { createLocalEngine } from '../src/index.ts'

/** A fresh folder, an engine in it, and a way to make archives. */
export async function openSetting(mode: 'auto' | 'plain', buildEnv?: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), 'everleaf-engine-'))
  const engine: Engine = await createLocalEngine({
    world: createWorld(),
    directory: join(folder, 'engine'),
    mode,
    ...(buildEnv === undefined ? {} : { buildEnv }),
  })
  return {
    engine,
    folder,
    archive: (files: Readonly<Record<string, string>>) => writeArchive(folder, filesOf(files)),
    async close() {
      await engine.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

let count = 0

/** Writes a tar.gz with these entries and returns its path. */
export async function writeArchive(folder: string, entries: readonly TarEntry[]): Promise<string> {
  const path = join(folder, `source-${++count}.tar.gz`)
  writeFileSync(path, gzipSync(await packTar(entries)))
  return path
}

export function filesOf(files: Readonly<Record<string, string>>): TarEntry[] {
  return Object.entries(files).map(([name, body]) => ({ header: { name, size: Buffer.byteLength(body), type: 'file', mode: 0o644 }, body }))
}
