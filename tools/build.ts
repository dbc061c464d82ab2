// npm run build: one bundled file for each role into dist/, which is what a release starts (57 ms where 260 modules take 260).
import { cpSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { type BuildOptions, build } from 'esbuild'
import { BUNDLE } from './bundle-options.ts'
import { makeCommandFiles } from './command-files.ts'

const common = {
  ...BUNDLE,
  // Packages written as CommonJS ask for built-ins by require, which a module does not have.
  banner: { js: "import { createRequire as everleafRequire } from 'node:module'; const require = everleafRequire(import.meta.url);" },
} satisfies BuildOptions

rmSync('dist', { recursive: true, force: true })
mkdirSync('dist')
await import('../apps/sync/build.ts')
// Core and the issuing of certificates are chunks of their own: edge does not load them.
await build({
  ...common,
  entryPoints: { everleaf: 'apps/everleaf/src/main.ts', cli: 'apps/cli/src/main.ts' },
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
})
await makeCommandFiles('dist', { follow: false })
await build({ ...common, entryPoints: ['runtime/engine-local/src/spawner.ts'], outfile: 'dist/spawner.mjs', banner: { js: '' } })
cpSync('apps/sync/dist', 'dist/sync', { recursive: true })
cpSync('samples/site', 'dist/site', { recursive: true })
for (const file of ['everleaf.mjs', 'cli.mjs', 'spawner.mjs', 'sync/sync.js']) console.log(`dist/${file} ${statSync(`dist/${file}`).size} bytes`)
