import { chmod, mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'

// Writes dist/: what is deployed, here and on IBM Cloud. One CommonJS file, because Node starts that fastest.
const dist = new URL('./dist/', import.meta.url)
await rm(dist, { recursive: true, force: true })
await mkdir(dist, { recursive: true })

const result = await build({
  entryPoints: [new URL('./src/main.ts', import.meta.url).pathname],
  outfile: new URL('sync.js', dist).pathname,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // Node 20 before 20.16 does not have it, and a CommonJS file does not need it.
  define: { 'process.getBuiltinModule': 'require' },
  minify: true,
  treeShaking: true,
  legalComments: 'eof',
  metafile: true,
  logLevel: 'warning',
})

const foreign = Object.keys(result.metafile.inputs).filter((input) => input.includes('node_modules/') && !input.includes('@everleaf/'))
if (foreign.length > 0) throw new Error(`the bundle holds what it must not: ${foreign.join(', ')}`)

const manifest = {
  name: 'everleaf-sync',
  version: '0.1.0',
  private: true,
  license: 'Apache-2.0',
  main: 'sync.js',
  scripts: { start: 'node sync.js' },
  engines: { node: '>=20' },
}
const dockerfile = `FROM node:26-slim
WORKDIR /app
COPY package.json sync.js ./
USER node
ENTRYPOINT ["node", "sync.js"]
`
await writeFile(new URL('package.json', dist), `${JSON.stringify(manifest, null, 2)}\n`)
await writeFile(new URL('Procfile', dist), 'web: node sync.js\n')
await writeFile(new URL('Dockerfile', dist), dockerfile)
await chmod(new URL('sync.js', dist), 0o644)
const { size } = await stat(new URL('sync.js', dist))
process.stdout.write(`apps/sync/dist/sync.js ${size} bytes from ${Object.keys(result.metafile.inputs).length} files\n`)
