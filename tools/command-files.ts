// The commands that are one file each, and how that file is made. bin/everleaf runs it.
import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, type Metafile, type Plugin } from 'esbuild'
import { BUNDLE } from './bundle-options.ts'

const COMMANDS = {
  ibmcloud: { source: 'apps/cli/src/ibmcloud/main.ts', whole: false, late: [] },
  // A check of a file and an explanation import nothing of the late ones (bin/everleaf).
  certificate: {
    source: 'apps/cli/src/certificate/main.ts',
    whole: true,
    late: ['apps/cli/src/certificate/served.ts', 'apps/cli/src/certificate/readiness.ts'],
  },
} as const satisfies Readonly<Record<string, { source: string; whole: boolean; late: readonly string[] }>>
/** What besides its sources decides on the file. The lock file stands for all packages. */
const MAKERS = ['tools/command-files.ts', 'tools/bundle-options.ts', 'package-lock.json']

/** Makes the file of each command, and beside it `ROLE.json` and `ROLE.late.json`: its name, and, where it is to follow its sources, their times and sizes. */
export async function makeCommandFiles(folder: string, { follow }: { follow: boolean }): Promise<void> {
  for (const role of Object.keys(COMMANDS) as (keyof typeof COMMANDS)[]) await makeOne(role, folder, follow)
}

async function makeOne(role: keyof typeof COMMANDS, folder: string, follow: boolean): Promise<void> {
  const { source, whole, late } = COMMANDS[role]
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
  const reached = reachedFrom(source, metafile.inputs, late)
  const own = Object.keys(metafile.inputs).filter((path) => !path.includes('node_modules/'))
  const early = stateOf(follow ? [...own.filter((path) => reached.has(path)), ...MAKERS] : [])
  const rest = stateOf(follow ? own.filter((path) => !reached.has(path)) : [])
  put(join(folder, file), text)
  // What was edited meanwhile may be in it or not.
  if ([...early.times, ...rest.times].some((time) => time >= began)) return
  put(join(folder, `${role}.late.json`), JSON.stringify(rest))
  put(list, JSON.stringify({ file, ...early }))
  // With what was compiled of them.
  for (const name of readdirSync(folder)) if (name.startsWith(`${role}-`) && !name.startsWith(file.slice(0, -'js'.length))) rmSync(join(folder, name))
}

/** The files that a file imports, and those that they do, without the late ones and what only they import. */
function reachedFrom(source: string, inputs: Metafile['inputs'], late: readonly string[]): ReadonlySet<string> {
  const reached = new Set([source])
  for (const path of reached) for (const { path: next } of inputs[path]?.imports ?? []) if (!late.includes(next)) reached.add(next)
  return reached
}

/** By columns: bin/everleaf reads them at each start. */
function stateOf(paths: readonly string[]): { paths: readonly string[]; times: readonly number[]; sizes: readonly number[] } {
  const stats = paths.map((path) => lstatSync(path))
  return { paths, times: stats.map(({ mtimeMs }) => mtimeMs), sizes: stats.map(({ size }) => size) }
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
