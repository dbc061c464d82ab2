// The commands that are one file each, and how that file is made. bin/everleaf runs it.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { BUNDLE } from './bundle-options.ts'

const COMMANDS = {
  ibmcloud: { source: 'apps/cli/src/ibmcloud/main.ts', whole: false },
  certificate: { source: 'apps/cli/src/certificate/main.ts', whole: true },
} as const
/** What besides its sources decides on the file. The lock file stands for all packages. */
const MAKERS = ['tools/command-files.ts', 'tools/bundle-options.ts', 'package-lock.json']

/** Makes the file of each command, and beside it `ROLE.json`: its name, and, where it is to follow its sources, their sizes and times. */
export async function makeCommandFiles(folder: string, { follow }: { follow: boolean }): Promise<void> {
  for (const role of Object.keys(COMMANDS) as (keyof typeof COMMANDS)[]) await makeOne(role, folder, follow)
}

async function makeOne(role: keyof typeof COMMANDS, folder: string, follow: boolean): Promise<void> {
  const { source, whole } = COMMANDS[role]
  const began = Date.now()
  const { outputFiles, metafile } = await build({
    ...BUNDLE,
    // Not modules of the newer kind: they start a loader of their own, and an import of a built-in reads all of its getters.
    format: 'cjs',
    supported: { 'dynamic-import': false },
    entryPoints: [source],
    // The form in which bin/everleaf runs it.
    banner: { js: '(function (exports, require, module, __filename) {' },
    footer: { js: '})' },
    plugins: whole ? [asWhole] : [],
    write: false,
    metafile: true,
  })
  const text = outputFiles[0]?.contents ?? new Uint8Array()
  const file = `${role}-${createHash('sha256').update(text).digest('hex').slice(0, 16)}.js`
  const list = join(folder, `${role}.json`)
  const sources = follow ? [...Object.keys(metafile.inputs).filter((path) => !path.includes('node_modules/')), ...MAKERS] : []
  const stats = sources.map((path) => [path, statSync(path)] as const)
  put(join(folder, file), text)
  // What was edited meanwhile may be in it or not.
  if (stats.some(([, { mtimeMs }]) => mtimeMs >= began)) return
  put(list, JSON.stringify({ file, sources: stats.map(([path, { mtimeMs, size }]) => [path, mtimeMs, size]) }))
  // With what was compiled of them.
  for (const name of readdirSync(folder)) if (name.startsWith(`${role}-`) && !name.startsWith(file.slice(0, -'js'.length))) rmSync(join(folder, name))
}

/** Whole or not at all: others read it at any moment. */
function put(file: string, content: string | Uint8Array): void {
  writeFileSync(`${file}.${process.pid}`, content)
  renameSync(`${file}.${process.pid}`, file)
}

/**
 * Modules that are imported when they are needed become part of the whole. A module that is loaded late costs an object with a getter for each of its
 * exports, and with it every module that it shares with others: more than the functions that nobody calls.
 */
const asWhole: Plugin = {
  name: 'as a whole',
  setup({ onLoad }) {
    onLoad({ filter: /\/(?:apps|packages)\/.*\.ts$/ }, ({ path }) => {
      const imports: string[] = []
      const contents = readFileSync(path, 'utf8').replaceAll(/\bimport\('(\.[^']+)'\)/g, (_, from) => {
        imports.push(`import * as whole${imports.length} from '${from}';`)
        return `Promise.resolve(whole${imports.length - 1})`
      })
      return { contents: imports.join('') + contents, loader: 'ts' }
    })
  },
}
