// Makes one file each of `ibmcloud` and `everleaf certificate`, which start in two thirds of the time that their modules take (docs/reference/benchmarks.md). bin/start.js
// runs this behind a command that had to start from source, and takes the file as long as none of its sources has changed.
import { mkdirSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BUNDLE } from './bundle-options.ts'

const folder = 'node_modules/.cache/everleaf-commands'
const COMMANDS = { ibmcloud: 'apps/cli/src/ibmcloud/main.ts', certificate: 'apps/cli/src/certificate/main.ts' }
mkdirSync(folder, { recursive: true })
// Commands that start at once from source would all make it.
const making = join(folder, 'making')
const STALE_MS = 60_000
if ((statSync(making, { throwIfNoEntry: false })?.mtimeMs ?? 0) < Date.now() - STALE_MS) rmSync(making, { recursive: true, force: true })
try {
  mkdirSync(making)
} catch {
  process.exit(0) // another one makes it
}
process.once('exit', () => rmdirSync(making))
const began = Date.now()
const { build } = await import('esbuild')
for (const [role, source] of Object.entries(COMMANDS)) await makeOne(role, source)

async function makeOne(role: string, source: string): Promise<void> {
  const [file, list] = [join(folder, `${role}.mjs`), join(folder, `${role}.json`)]
  const { outputFiles, metafile } = await build({
    entryPoints: [source],
    ...BUNDLE,
    write: false,
    metafile: true,
    plugins: [
      {
        // An import of a built-in reads all its getters, of which node:fs's loads its promises: 3 ms. This way takes it as it is.
        name: 'built-ins as they are',
        setup({ onResolve, onLoad }) {
          onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin' }))
          onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({ contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})` }))
        },
      },
    ],
    banner: { js: "const require = (name) => process.getBuiltinModule('node:' + name.replace(/^node:/, ''));" },
  })
  // The lock file stands for all packages.
  const sources = [...Object.keys(metafile.inputs).filter((path) => !/^builtin:|node_modules\//.test(path)), 'package-lock.json']
  // In this order: a list without its file, or with another, must never be seen.
  rmSync(list, { force: true })
  writeFileSync(`${file}.${process.pid}`, outputFiles[0]?.contents ?? '')
  renameSync(`${file}.${process.pid}`, file)
  const stats = sources.map((path) => [path, statSync(path)] as const)
  // What was edited meanwhile may be in it or not.
  if (stats.some(([, { mtimeMs }]) => mtimeMs >= began)) return
  writeFileSync(`${list}.${process.pid}`, JSON.stringify(stats.map(([path, { mtimeMs, size }]) => [path, mtimeMs, size])))
  renameSync(`${list}.${process.pid}`, list)
}
