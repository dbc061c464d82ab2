import { BuildFailed } from '@everleaf/engine'

/** What detection looks at: the names at the root of the source and the text of the files it reads. */
export type Source = { readonly names: ReadonlySet<string>; readonly text: (name: string) => string; readonly exists: (path: string) => boolean }

export type Detected = {
  readonly language: 'node'
  readonly command: readonly string[]
  /** How dependencies come: from the lock file, by the package.json alone, or there are none. */
  readonly dependencies: 'locked' | 'listed' | 'none'
}

const ENTRY_FILES = ['server.js', 'index.js', 'app.js', 'server.mjs', 'index.mjs', 'app.mjs', 'server.cjs', 'index.cjs', 'app.cjs'] as const
const OTHERS: Readonly<Record<string, string>> = {
  'requirements.txt': 'Python',
  'pyproject.toml': 'Python',
  'go.mod': 'Go',
  'pom.xml': 'Java',
  'build.gradle': 'Java',
  'Cargo.toml': 'Rust',
  Gemfile: 'Ruby',
  'composer.json': 'PHP',
  Dockerfile: 'a Dockerfile',
}

/**
 * Decides how a source runs; throws BuildFailed naming what is supported. First that applies:
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
export function detect(source: Source): Detected {
  const manifest = source.names.has('package.json') ? readManifest(source.text('package.json')) : undefined
  const web = source.names.has('Procfile') ? /^web:\s*(\S.*)$/m.exec(source.text('Procfile'))?.[1]?.trim() : undefined
  const entry = ENTRY_FILES.find((name) => source.names.has(name))
  const main =
    manifest?.main !== undefined ? [manifest.main, `${manifest.main}.js`, `${manifest.main}/index.js`].find((path) => source.exists(path)) : undefined
  const start = web ?? manifest?.start
  const isNode = manifest !== undefined || entry !== undefined || /^node\s/.test(web ?? '')
  if (!isNode) throw new BuildFailed('failed', unsupported(source.names))
  const dependencies = !manifest?.hasDependencies
    ? 'none'
    : source.names.has('package-lock.json') || source.names.has('npm-shrinkwrap.json')
      ? 'locked'
      : 'listed'
  if (start !== undefined) return { language: 'node', command: commandOf(start), dependencies }
  const file = main ?? entry
  if (file === undefined)
    throw new BuildFailed(
      'failed',
      'Nothing says how to start this Node app: add a Procfile with a line "web: …", a start script or "main" to package.json, or a server.js.',
    )
  return { language: 'node', command: ['node', file], dependencies }
}

function commandOf(line: string): readonly string[] {
  const words = line.split(/\s+/)
  const plain = words.every((word) => /^[\w./:@%+,=-]+$/.test(word)) && !words[0]?.includes('=')
  if (plain && words[0] === 'node') return words
  // A constant shell line gets the user's as its argument, beside the programs of its dependencies.
  return ['sh', '-c', 'PATH="$PWD/node_modules/.bin:$PATH"; export PATH; eval "$1"', 'sh', line]
}

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
  if (typeof wanted !== 'string' || /^(file:|link:|git|ssh:|[./~])/.test(wanted) || /^[\w.-]+\/[\w.-]+/.test(wanted))
    throw new BuildFailed(
      'failed',
      `The dependency ${JSON.stringify(name.slice(0, 200))} does not come from a registry: only versions of published packages are installed.`,
    )
}

function unsupported(names: ReadonlySet<string>): string {
  const other = Object.keys(OTHERS).find((name) => names.has(name))
  const found = other ? `This looks like ${OTHERS[other]} (${other}), which this engine cannot build` : 'Nothing says what this source is'
  return `${found}: supported is Node, by a package.json, a Procfile with "web: node …", or a server.js, index.js or app.js.`
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
