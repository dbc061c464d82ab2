import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

const MOST_BYTES = 64 * 1024 * 1024

/** Every file below a folder with its bytes, by its path in there; sockets, links and what is too large left out. */
export function* filesBelow(folder: string, below = ''): Generator<[string, Buffer]> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* filesBelow(path, `${below}/${entry.name}`)
    else if (entry.isFile() && statSync(path).size < MOST_BYTES) yield [`${below}/${entry.name}`, readFileSync(path)]
  }
}
