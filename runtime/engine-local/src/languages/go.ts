import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildFailed } from '@everleaf/engine'
import { commandOf, type Detected, type Source, webLine, type Workbench } from './language.ts'

const PROGRAM = '.everleaf/bin/app'

/** How a source for Go runs, by its go.mod: the main package at its root or the only one below cmd/, compiled; undefined when it is none. */
export function detectGo(source: Source): Detected | undefined {
  if (!source.names.has('go.mod')) return undefined
  const text = source.text('go.mod')
  // A path on this machine in place of a module.
  if (/=>\s*(\/|\.\.)/.test(text) || /=>\s*\S*\/\.\.(\/|\s|$)/.test(text))
    throw new BuildFailed('failed', 'go.mod replaces a module by a folder outside the source: only published modules are fetched.')
  const web = webLine(source)
  return {
    language: 'go',
    command: web === undefined ? [`./${PROGRAM}`] : commandOf(web, `./${PROGRAM}`),
    env: {},
    dependencies: source.names.has('go.sum') ? 'locked' : 'none',
    prepare,
  }
}

/** One program in Go of the standard library alone, as IBM's samples are: it has no go.mod, and gets one; undefined when there is none. */
export function detectLoneGo({ names, text }: Source): Detected | undefined {
  const programs = [...names].filter((name) => name.endsWith('.go') && !name.endsWith('_test.go') && /^func main\(\)/m.test(text(name)))
  if (programs.length === 0) return undefined
  if (programs.length > 1)
    throw new BuildFailed('failed', `There are several programs in Go (${programs.sort().join(', ')}) and no go.mod: give each a folder of its own.`)
  const made = async (work: Workbench) => {
    await writeFile(join(work.folder, 'go.mod'), 'module app\n')
    return prepare(work)
  }
  return { language: 'go', command: [`./${PROGRAM}`], env: {}, dependencies: 'none', prepare: made }
}

async function prepare({ folder, run, log }: Workbench): Promise<undefined> {
  const target = mainPackage(folder)
  await mkdir(join(folder, '.everleaf/bin'), { recursive: true })
  log(`go build ${target}`)
  // No cgo: nothing of a package runs while it is compiled, and the program needs no library of this machine.
  const env = { CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '-buildvcs=false', GOWORK: 'off' }
  const args = ['build', '-trimpath', '-o', PROGRAM, '--', target]
  await run({ file: 'go', args, env, install: 'install Go (https://go.dev/dl), or pack the compiled program with a Procfile.' })
  return undefined
}

function mainPackage(folder: string): string {
  const isMain = (at: string) =>
    readdirSync(join(folder, at)).some(
      (name) => name.endsWith('.go') && !name.endsWith('_test.go') && /^package main\b/m.test(readFileSync(join(folder, at, name), 'utf8')),
    )
  if (isMain('.')) return '.'
  const below = existsSync(join(folder, 'cmd')) ? readdirSync(join(folder, 'cmd'), { withFileTypes: true }).filter((entry) => entry.isDirectory()) : []
  const found = below.map(({ name }) => `cmd/${name}`).filter(isMain)
  const [only] = found
  if (only === undefined || found.length > 1)
    throw new BuildFailed(
      'failed',
      only === undefined
        ? 'There is no package main at the root of this Go source or below cmd/.'
        : `There are several programs below cmd/ (${found.join(', ')}): leave one of them, or put the one to run at the root.`,
    )
  return `./${only}`
}
