// Fails on exports that nobody imports, files that nobody reaches, and declared dependencies that nobody uses.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

const ROOMS = ['apps', 'services', 'runtime', 'packages']
/** Files that a person or another process starts, and what is looked at by name. */
const ENTRY = /(?:\/main|\/owner|\.test|\/exam|\/build|\/assemble|\/spawner|\/entry)\.ts$|^(?:tools|tests|benchmarks|samples)\//
const EXPORT = /^export (?:declare )?(?:async )?(?:abstract )?(?:function\*?|const|let|class|type|interface) +([A-Za-z_$][\w$]*)/gm
const LIST = /^(import|export)(?: type)?\s*(?:\{([^}]*)\}|(\*)(?: as \w+)?|\w+)\s*from\s*['"]([^'"]+)['"]/gm
const DYNAMIC = /import\(\s*['"]([^'"]+)['"]\s*\)/g

type Source = { readonly file: string; readonly text: string; readonly exported: readonly string[] }

const packages = packageFolders()
const sources = new Map<string, Source>()
for (const folder of [...packages.values(), 'tests', 'benchmarks', 'tools']) for (const file of typescriptIn(folder)) sources.set(resolve(file), read(file))

/** Names of a file that somebody outside it uses; `*` stands for all. */
const used = new Map<string, Set<string>>()
const reached = new Set<string>()
const problems: string[] = []
for (const source of sources.values()) follow(source)
for (const { file, exported, text } of sources.values()) {
  if (ENTRY.test(file)) continue
  const isIndex = [...packages.values()].some((folder) => exportsOf(folder).includes(resolve(file)))
  if (!reached.has(resolve(file)) && !isIndex) problems.push(`${file}: nobody imports this file`)
  const names = used.get(resolve(file)) ?? new Set()
  for (const name of exported) if (!names.has('*') && !names.has(name) && !isUsedInside(text, name)) problems.push(`${file}: nobody uses the export ${name}`)
}
for (const [name, folder] of packages)
  for (const unused of unusedDependencies(folder)) problems.push(`${folder}/package.json: ${name} declares ${unused} and does not use it`)
console.log(problems.join('\n'))
console.log(`dead code: ${sources.size} files, ${problems.length} problems`)
process.exitCode = problems.length === 0 && sources.size > 0 ? 0 : 1

function follow({ file, text }: Source): void {
  for (const [, kind, list = '', star, specifier = ''] of text.matchAll(LIST)) {
    const target = locate(file, specifier)
    if (target === undefined) continue
    reached.add(target)
    const names =
      star === '*'
        ? ['*']
        : list.split(',').map(
            (part) =>
              part
                .trim()
                .replace(/^type /, '')
                .split(/ as /)[0]
                ?.trim() ?? '',
          )
    // What an index passes on counts as used: a package's face is for others to use.
    note(target, kind === 'import' ? (list === '' && star !== '*' ? ['*'] : names) : names)
  }
  for (const [, specifier = ''] of text.matchAll(DYNAMIC)) {
    const target = locate(file, specifier)
    if (target === undefined) continue
    reached.add(target)
    note(target, ['*'])
  }
}

function note(target: string, names: readonly string[]): void {
  const known = used.get(target) ?? new Set()
  for (const name of names) known.add(name)
  used.set(target, known)
}

function locate(from: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return resolve(dirname(from), specifier)
  if (!specifier.startsWith('@everleaf/')) return undefined
  const [, name = '', ...below] = specifier.split('/')
  const folder = packages.get(`@everleaf/${name}`)
  if (folder === undefined) return undefined
  const map = exportMap(folder)
  const path = map[below.length === 0 ? '.' : `./${below.join('/')}`]
  return path === undefined ? undefined : resolve(folder, path)
}

/** An export that its own file uses elsewhere is a type or helper shared for its signature: not dead. */
function isUsedInside(text: string, name: string): boolean {
  return (text.match(new RegExp(`(?<![\\w$])${name.replace(/\$/g, '\\$')}(?![\\w$])`, 'g'))?.length ?? 0) > 1
}

function unusedDependencies(folder: string): string[] {
  const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { dependencies?: Record<string, string> }
  const texts = [...sources.values()].filter(({ file }) => file.startsWith(`${folder}/`)).map(({ text }) => text)
  return Object.keys(dependencies).filter((name) => !texts.some((text) => text.includes(`'${name}'`) || text.includes(`'${name}/`)))
}

function packageFolders(): ReadonlyMap<string, string> {
  const folders = ROOMS.flatMap((room) =>
    readdirSync(room, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(room, entry.name)),
  )
  return new Map(
    folders
      .filter((folder) => existsSync(join(folder, 'package.json')))
      .map((folder) => [(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name: string }).name, folder]),
  )
}

function exportMap(folder: string): Readonly<Record<string, string>> {
  return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { exports?: Record<string, string> }).exports ?? {}
}

function exportsOf(folder: string): string[] {
  return Object.values(exportMap(folder)).map((path) => resolve(folder, path))
}

function typescriptIn(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !/node_modules|\/dist|\.venv/.test(entry.parentPath))
    .map((entry) => join(entry.parentPath, entry.name))
}

function read(file: string): Source {
  const text = readFileSync(file, 'utf8')
  return { file, text, exported: [...text.matchAll(EXPORT)].map(([, name = '']) => name) }
}
