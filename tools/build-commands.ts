// Makes one file of `ibmcloud`, which starts in two thirds of the time that its 40 modules take (docs/reference/benchmarks.md). `npm ci` runs
// this; bin/start.js takes the file as long as none of its sources has changed. Without esbuild (`npm ci --omit=dev`) there is none.
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const { build } = await import('esbuild').catch(() => process.exit(0))
const folder = 'node_modules/.cache/everleaf-commands'
const [file, list] = [join(folder, 'ibmcloud.mjs'), join(folder, 'ibmcloud.json')]
mkdirSync(folder, { recursive: true })
const { outputFiles, metafile } = await build({
  entryPoints: ['apps/cli/src/ibmcloud/main.ts'],
  bundle: true,
  write: false,
  metafile: true,
  platform: 'node',
  target: 'node26',
  format: 'esm',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'eof',
  logLevel: 'warning',
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
writeFileSync(
  `${list}.${process.pid}`,
  JSON.stringify(
    sources.map((path) => {
      const { mtimeMs, size } = statSync(path)
      return [path, mtimeMs, size]
    }),
  ),
)
renameSync(`${list}.${process.pid}`, list)
