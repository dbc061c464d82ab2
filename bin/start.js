// Starts a command in this process where its Node is the right one, otherwise under that of Everleaf's own packages.
import { COMPILE_CACHE, findNode, rootFolder } from './node26.js'

/** Where commands lie as one file each (tools/build-commands.ts). */
export const BUNDLES = `${rootFolder()}node_modules/.cache/everleaf-commands`

/**
 * Starts `role`: what `npm run build` made where EVERLEAF_BUILT says so or there is no source; else its one file, where none of its sources
 * changed; else the source. Nothing is imported here that is not needed: a command is to start in little more than an empty program's time.
 */
export async function start({ role, source }) {
  const fs = process.getBuiltinModule?.('node:fs') ?? (await import('node:fs'))
  const base = rootFolder()
  const built = process.env.EVERLEAF_BUILT === '1' || !fs.existsSync(base + source)
  const bundle = built || !BUNDLED.has(role) ? undefined : bundleOf(fs, { folder: BUNDLES, role, base })
  const file = built ? `${base}dist/${role}.mjs` : (bundle ?? base + source)
  if (!built && bundle === undefined && BUNDLED.has(role)) process.once('exit', () => makeBundle(fs, base))
  const node = await findNode()
  if (node !== process.execPath) {
    const { run } = await import('./run.js')
    return run(node, file, process.argv.slice(2))
  }
  const module = process.getBuiltinModule('node:module')
  module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE ?? COMPILE_CACHE)
  process.argv[1] = file
  const { pathToFileURL } = process.getBuiltinModule('node:url')
  await import(pathToFileURL(file).href)
}

const BUNDLED = new Set(['certificate', 'ibmcloud'])

/** Makes the one file for the next time, behind the command that has just ended. */
function makeBundle(fs, base) {
  if (!fs.existsSync(`${base}node_modules/esbuild`)) return
  const { spawn } = process.getBuiltinModule('node:child_process')
  const child = spawn(process.execPath, [`${base}bin/with-node.js`, 'tools/build-commands.ts'], { cwd: base, detached: true, stdio: 'ignore' })
  child.on('error', () => {}) // the next command starts from source again
  child.unref()
}

/** The one file of a command, undefined where it was not made of exactly these sources. */
export function bundleOf(fs, { folder, role, base }) {
  try {
    const sources = JSON.parse(fs.readFileSync(`${folder}/${role}.json`, 'utf8'))
    const same = ([path, mtimeMs, size]) => {
      const found = fs.statSync(base + path)
      return found.mtimeMs === mtimeMs && found.size === size
    }
    return sources.every(same) ? `${folder}/${role}.mjs` : undefined
  } catch {
    // There is none, or one of its sources is gone: the source itself is right.
    return undefined
  }
}
