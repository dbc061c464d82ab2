import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

// Writes dist/ where no bundler is installed (`npm ci --omit=dev`): the same program as JavaScript modules, types taken out. It runs on
// Everleaf, whose Node is new enough; build.ts makes the one file that starts fastest and runs on any Node from 20.
const here = fileURLToPath(new URL('.', import.meta.url))
const dist = process.argv[2] ?? join(here, 'dist')
const ROOMS: Readonly<Record<string, { readonly from: string; readonly entry: string }>> = {
  clients: { from: '../../packages/clients/src', entry: 'index.js' },
  pki: { from: '../../packages/pki/src', entry: 'index.js' },
  renewals: { from: '../../packages/renewals/src', entry: 'renewals.js' },
  sync: { from: 'src', entry: 'main.js' },
  world: { from: '../../packages/world/src', entry: 'index.js' },
}

rmSync(dist, { recursive: true, force: true })
for (const [room, { from }] of Object.entries(ROOMS)) {
  const folder = join(here, from)
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts') || name.endsWith('.test.ts')) continue
    const to = join(dist, room, name.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(to), { recursive: true })
    writeFileSync(to, javascript(readFileSync(join(folder, name), 'utf8'), dirname(to)))
  }
}
writeFileSync(join(dist, 'sync.js'), "import './sync/main.js'\n")
writeFileSync(join(dist, 'package.json'), `${JSON.stringify({ name: 'everleaf-sync', version: '0.1.0', private: true, type: 'module' }, null, 2)}\n`)
writeFileSync(join(dist, 'Procfile'), 'web: node sync.js\n')

function javascript(text: string, folder: string): string {
  return stripTypeScriptTypes(text)
    .replaceAll(/(from '|import '|import\(')(\.[^']*)\.ts'/g, "$1$2.js'")
    .replaceAll(/(from '|import\(')@everleaf\/([a-z]+)'/g, (all, before: string, room: string) => {
      const to = ROOMS[room]
      if (to === undefined) throw new Error(`sync imports @everleaf/${room}, of which this knows nothing`)
      const path = relative(folder, join(dist, room, to.entry))
      return `${before}${path.startsWith('.') ? path : `./${path}`}'`
    })
}
