import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BuildFailed, type BuildRequest, type BuildResult } from '@everleaf/engine'
import type { World } from '@everleaf/world'
import { extractArchive } from './archive.ts'
import { type Detected, detect } from './detect.ts'
import { IMAGE_FILE, type Image } from './image.ts'

export type BuildDeps = {
  readonly world: World
  /** Environment of npm, so that it finds the machine's own configuration. */
  readonly env: Readonly<Record<string, string>>
}

const OUTPUT_LINES = 2000

/** Makes an image next to its final place and renames it there, so that it appears whole or not at all. Throws BuildFailed. */
export async function buildImage(request: BuildRequest, { world, env }: BuildDeps): Promise<BuildResult> {
  const work = `${request.image}.building-${world.id().slice(0, 8)}`
  const late = new AbortController()
  const timer = world.after(request.timeoutMs, () => late.abort(new BuildFailed('timeout', `The build took longer than ${request.timeoutMs} ms.`)))
  try {
    await mkdir(work, { recursive: true, mode: 0o755 })
    const digest = await extractArchive({ archive: request.archive, into: work, signal: late.signal })
    const names = new Set(await readdir(work))
    const text = (name: string) => readFileSync(join(work, name), 'utf8')
    const detected = detect({ names, text, exists: (path) => existsSync(join(work, path)) })
    request.log(`Node app, started by: ${detected.command.join(' ')}`)
    if (detected.dependencies !== 'none') await installDependencies(work, detected, { env, signal: late.signal, log: request.log })
    late.signal.throwIfAborted()
    const image: Image = { language: detected.language, command: detected.command, env: {}, digest }
    await writeSynced(join(work, IMAGE_FILE), JSON.stringify(image))
    await syncFolder(work)
    await rename(work, request.image)
    await syncFolder(dirname(request.image))
    return { digest, language: detected.language, command: detected.command }
  } catch (error) {
    await rm(work, { recursive: true, force: true })
    throw late.signal.aborted ? late.signal.reason : error
  } finally {
    timer.cancel()
  }
}

type InstallContext = { env: Readonly<Record<string, string>>; signal: AbortSignal; log: (text: string) => void }

async function installDependencies(work: string, detected: Detected, context: InstallContext): Promise<void> {
  // A source's own .npmrc may name programs to run and folders to write: npm must not see it.
  const settings = join(work, '.npmrc')
  const aside = join(work, '.everleaf-npmrc')
  const hasSettings = existsSync(settings)
  if (hasSettings) {
    context.log('The .npmrc of the source is not used while installing.')
    await rename(settings, aside)
  }
  refuseLocalPackages(work)
  const verb = detected.dependencies === 'locked' ? 'ci' : 'install'
  context.log(`npm ${verb}`)
  await runNpm(work, [verb, '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'], context)
  if (hasSettings) await rename(aside, settings)
}

function refuseLocalPackages(work: string): void {
  const lock = ['npm-shrinkwrap.json', 'package-lock.json'].map((name) => join(work, name)).find((path) => existsSync(path))
  if (lock === undefined) return
  if (/"(resolved|version)"\s*:\s*"(file:|git|ssh:|\.|\/)/.test(readFileSync(lock, 'utf8')))
    throw new BuildFailed('failed', 'The lock file names packages that do not come from a registry: only published packages are installed.')
}

function runNpm(cwd: string, args: readonly string[], { env, signal, log }: InstallContext): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('npm', args, { cwd, env, signal, stdio: ['ignore', 'pipe', 'pipe'] })
    let lines = 0
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        for (const line of text.split('\n')) if (line.trim() !== '' && ++lines <= OUTPUT_LINES) log(line.slice(0, 4096))
      })
    child.once('error', (cause) => reject(new BuildFailed('failed', 'npm cannot be started: install it, or pack the dependencies with the source.', { cause })))
    child.once('close', (code) => (code === 0 ? resolve() : reject(new BuildFailed('failed', `npm ended with ${code}: its output in the log says why.`))))
  })
}

async function writeSynced(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o644, flush: true })
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r')
  await folder.sync()
}
