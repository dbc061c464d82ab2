import { existsSync, readFileSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildFailed } from '@everleaf/engine'
import { commandOf, type Detected, notFromRegistry, type Source, webLine, type Workbench } from './language.ts'

const ENTRY_FILES = ['server.js', 'index.js', 'app.js', 'server.mjs', 'index.mjs', 'app.mjs', 'server.cjs', 'index.cjs', 'app.cjs'] as const
/**
 * How a source for Node runs; undefined when it is none. First that applies:
 *
 * | source has                                | command                            |
 * | ----------------------------------------- | ---------------------------------- |
 * | Procfile with `web:`                      | that line                          |
 * | package.json with scripts.start           | that script                        |
 * | package.json with `main`                  | node and that file                 |
 * | server.js, index.js, app.js (.mjs, .cjs)  | node and that file                 |
 *
 * A line of plain words is run as it is; only one that needs a shell gets one.
 */
export function detectNode(source: Source): Detected | undefined {
  const manifest = source.names.has('package.json') ? readManifest(source.text('package.json')) : undefined
  const web = webLine(source)
  const entry = ENTRY_FILES.find((name) => source.names.has(name))
  const main =
    manifest?.main !== undefined ? [manifest.main, `${manifest.main}.js`, `${manifest.main}/index.js`].find((path) => source.exists(path)) : undefined
  const start = web ?? manifest?.start
  const isNode = manifest !== undefined || entry !== undefined || /^node\s/.test(web ?? '')
  if (!isNode) return undefined
  const dependencies = !manifest?.hasDependencies
    ? 'none'
    : source.names.has('package-lock.json') || source.names.has('npm-shrinkwrap.json')
      ? 'locked'
      : 'listed'
  if (start !== undefined) return { language: 'node', command: commandOf(start, 'node'), env: {}, dependencies, prepare: (work) => install(work, dependencies) }
  const file = main ?? entry
  if (file === undefined)
    throw new BuildFailed(
      'failed',
      'Nothing says how to start this Node app: add a Procfile with a line "web: …", a start script or "main" to package.json, or a server.js.',
    )
  return { language: 'node', command: ['node', file], env: {}, dependencies, prepare: (work) => install(work, dependencies) }
}

async function install({ folder, run, log, cached }: Workbench, dependencies: Detected['dependencies']): Promise<undefined> {
  if (dependencies === 'none') return undefined
  // A source's own .npmrc may name programs to run and folders to write: npm must not see it.
  const settings = join(folder, '.npmrc')
  const aside = join(folder, '.everleaf-npmrc')
  const hasSettings = existsSync(settings)
  if (hasSettings) {
    log('The .npmrc of the source is not used while installing.')
    await rename(settings, aside)
  }
  const lock = LOCKS.map((name) => join(folder, name)).find((path) => existsSync(path))
  const locked = lock === undefined ? '' : readFileSync(lock, 'utf8')
  if (/"(resolved|version)"\s*:\s*"(file:|git|ssh:|\.|\/)/.test(locked))
    throw new BuildFailed('failed', 'The lock file names packages that do not come from a registry: only published packages are installed.')
  const npm = async (verb: string) => {
    log(`npm ${verb}`)
    const args = [verb, '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']
    await run({ file: 'npm', args, install: 'install it, or pack the dependencies with the source.' })
  }
  if (dependencies === 'locked')
    await cached('node_modules', ['node', process.version, locked, readFileSync(join(folder, 'package.json'), 'utf8')], () => npm('ci'))
  else await npm('install')
  if (hasSettings) await rename(aside, settings)
  return undefined
}

const LOCKS = ['npm-shrinkwrap.json', 'package-lock.json'] as const

type Manifest = { readonly main: string | undefined; readonly start: string | undefined; readonly hasDependencies: boolean }

function readManifest(text: string): Manifest {
  let value: unknown
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (cause) {
    throw new BuildFailed('failed', 'package.json is not JSON: correct it.', { cause })
  }
  const manifest = asObject(value)
  const dependencies = { ...asObject(manifest['dependencies']), ...asObject(manifest['optionalDependencies']) }
  for (const [name, wanted] of Object.entries(dependencies)) checkDependency(name, wanted)
  const main = asText(manifest['main'])?.replace(/^\.\//, '')
  if (main !== undefined && (main.startsWith('/') || main.split('/').includes('..')))
    throw new BuildFailed('failed', '"main" in package.json leaves the source.')
  return { main, start: asText(asObject(manifest['scripts'])['start'])?.trim() || undefined, hasDependencies: Object.keys(dependencies).length > 0 }
}

/** npm would run git or read files of this machine for these. */
function checkDependency(name: string, wanted: unknown): void {
  if (typeof wanted !== 'string' || /^(file:|link:|git|ssh:|[./~])/.test(wanted) || /^[\w.-]+\/[\w.-]+/.test(wanted)) throw notFromRegistry(name)
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
