// Fails on a wrong room, an undeclared dependency, a path into another package, or an import without its ending.
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, resolve } from 'node:path'

/** Who may import what of ours: the one place where it is written down. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  world: [],
  pki: [],
  renewals: [],
  store: ['world'],
  http: ['world', 'store'],
  clients: ['world'],
  jobs: ['world', 'store'],
  link: ['world'],
  engine: ['world'],
  'engine-local': ['world', 'engine'],
  gateway: ['world', 'pki', 'link'],
  iam: ['world', 'pki', 'store', 'jobs', 'http'],
  'resource-controller': ['world', 'pki', 'store', 'jobs', 'http'],
  'object-storage': ['world', 'store', 'http'],
  'secrets-manager': ['world', 'pki', 'store', 'jobs', 'http'],
  'event-notifications': ['world', 'pki', 'store', 'jobs', 'http'],
  'code-engine': ['world', 'pki', 'store', 'jobs', 'http', 'link', 'engine'],
  sync: ['world', 'pki', 'clients', 'renewals'],
  cli: ['clients', 'world', 'pki', 'renewals'],
  platform: ['*'],
  tests: ['*'],
  benchmarks: ['*'],
}
const ROOMS = ['apps', 'services', 'runtime', 'packages', 'samples']
const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^'"\n;=]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)\s*\}\s*from\s*['"]([^'"]+)['"]|(?:^|\n)import\s*['"]([^'"]+)['"]/g

type Package = { readonly name: string; readonly folder: string; readonly declared: ReadonlySet<string> }

const rootDeclared = declaredIn('.')
const problems: string[] = []
let files = 0
for (const folder of [...ROOMS.flatMap((room) => subfolders(room)), 'tests', 'benchmarks']) {
  const found = readPackage(folder)
  for (const file of sources(folder)) {
    files++
    for (const specifier of importsOf(readFileSync(file, 'utf8'))) check(found, file, specifier)
  }
}
console.log(problems.join('\n'))
console.log(`rooms: ${files} files, ${problems.length} problems`)
process.exitCode = problems.length === 0 && files > 0 ? 0 : 1

function check(from: Package, file: string, specifier: string): void {
  const isTest = /\.test\.ts$/.test(file) || file.includes('/test/') || from.name === 'tests' || from.name === 'benchmarks'
  const say = (text: string) => problems.push(`${file}: ${text}`)
  if (specifier.startsWith('.')) {
    const target = resolve(dirname(file), specifier)
    if (!target.startsWith(`${resolve(from.folder)}/`)) say(`${specifier} leads into another package: import it by its name`)
    if (!/\.(ts|json|js)$/.test(specifier)) say(`${specifier} lacks its ending (.ts)`)
    return
  }
  if (specifier.startsWith('node:')) return
  if (builtinModules.includes(specifier)) return void say(`${specifier}: write node:${specifier}`)
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
  const ours = name.startsWith('@everleaf/') ? name.slice('@everleaf/'.length) : undefined
  const may = MAY[from.name]
  if (may === undefined) return void say(`the room ${from.name} is not in the table of tools/check-rooms.ts`)
  if (ours !== undefined && ours !== from.name && !may.includes('*') && !may.includes(ours) && !isTest) say(`${from.name} may not import ${ours}`)
  if (ours !== from.name && !from.declared.has(name) && !((isTest || file.endsWith('/build.ts')) && (rootDeclared.has(name) || ours !== undefined)))
    say(`${name} is not declared in ${from.folder}/package.json`)
}

function readPackage(folder: string): Package {
  const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name: string }
  return { name: name.replace('@everleaf/', ''), folder, declared: declaredIn(folder) }
}

function declaredIn(folder: string): ReadonlySet<string> {
  const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, Record<string, string>>
  return new Set([...Object.keys(dependencies), ...Object.keys(devDependencies)])
}

function subfolders(room: string): string[] {
  try {
    return readdirSync(room, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(room, entry.name))
  } catch {
    return []
  }
}

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !/node_modules|\/dist/.test(entry.parentPath))
    .map((entry) => join(entry.parentPath, entry.name))
}

function importsOf(text: string): string[] {
  return [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? match[4] ?? '')
}
