import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Home } from '../home.ts'

/**
 * Removes what a killed platform left half done; only the holder of the home's lock may. What instances had (mounts, tokens) is removed by those who make it.
 *
 * | what                                        | where                           |
 * | ------------------------------------------- | ------------------------------- |
 * | files that were being written, keys too     | the home, `keys`, `run`, `data` |
 * | a source that was being taken in            | `data/archives`                 |
 * | an image that was being built               | `data/images`                   |
 */
export function removeLeftovers({ root, keys, run, data }: Pick<Home, 'root' | 'keys' | 'run' | 'data'>): void {
  for (const folder of [root, keys, run, data]) remove(folder, /\.[0-9a-f]{8}\.tmp$/)
  remove(join(data, 'archives'), /^\..*\.part$/)
  remove(join(data, 'images'), /\.building-[0-9a-f]{8}$/)
}

function remove(folder: string, name: RegExp): void {
  if (!existsSync(folder)) return
  for (const found of readdirSync(folder)) if (name.test(found)) rmSync(join(folder, found), { recursive: true, force: true })
}
