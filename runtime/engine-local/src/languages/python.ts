import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildFailed } from '@everleaf/engine'
import { SHIELDED_SOURCE } from '../tools.ts'
import { commandOf, type Detected, notFromRegistry, type Source, webLine, type Workbench } from './language.ts'

const ENTRY_FILES = ['app.py', 'main.py', 'server.py', 'job.py'] as const
/** Where the packages lie in the image. */
const PACKAGES = '.everleaf/python'

/**
 * How a source for Python runs; undefined when it is none. First that applies:
 *
 * | source has                           | command                  |
 * | ------------------------------------ | ------------------------ |
 * | Procfile with `web:`                 | that line                |
 * | app.py, main.py, server.py, job.py   | python3 and that file    |
 */
export function detectPython(source: Source): Detected | undefined {
  const web = webLine(source)
  const entry = ENTRY_FILES.find((name) => source.names.has(name))
  const isListed = source.names.has('requirements.txt')
  if (!isListed && entry === undefined && !/^(python3?|gunicorn|flask|uvicorn)\s/.test(web ?? '') && !source.names.has('pyproject.toml')) return undefined
  if (!isListed && source.names.has('pyproject.toml'))
    throw new BuildFailed('failed', 'Dependencies of Python are read from requirements.txt: write one beside pyproject.toml (pip freeze > requirements.txt).')
  const wanted = isListed ? requirementsOf(source.text('requirements.txt')) : []
  const dependencies = wanted.length === 0 ? 'none' : wanted.every((line) => /^[^<>!~]+==[^*]+$/.test(line)) ? 'locked' : 'listed'
  const about = {
    language: 'python',
    env: { PYTHONPATH: `{app}/${PACKAGES}`, PYTHONUNBUFFERED: '1' },
    dependencies,
    prepare: (work: Workbench) => prepare(work, dependencies),
  } as const
  if (web !== undefined) return { ...about, command: commandOf(web, 'python3') }
  if (entry === undefined)
    throw new BuildFailed('failed', `Nothing says how to start this Python app: add a Procfile with a line "web: …", or one of ${ENTRY_FILES.join(', ')}.`)
  return { ...about, command: ['python3', entry] }
}

/** Buildpacks have `python` too, and Procfiles say it. */
async function namePython(folder: string): Promise<void> {
  await mkdir(join(folder, '.everleaf/bin'), { recursive: true })
  await writeFile(join(folder, '.everleaf/bin/python'), '#!/bin/sh\nexec python3 "$@"\n', { mode: 0o755 })
}

async function prepare({ folder, run, program, log, cached }: Workbench, dependencies: Detected['dependencies']): Promise<undefined> {
  const python = program('python3', 'install Python 3 (Debian: python3)')
  await namePython(folder)
  if (dependencies === 'none') return undefined
  const install = async () => {
    log('pip install -r requirements.txt')
    // Relative paths: a shielded pip sees the source elsewhere.
    const args = ['-m', 'pip', 'install', '--target', PACKAGES, '--no-input', '--no-warn-script-location', '--disable-pip-version-check', '--quiet']
    await run({
      file: python,
      args: [...args, '--root-user-action=ignore', '--requirement', 'requirements.txt'],
      // A source's own pip.conf or setup.cfg is not asked.
      env: { PWD: SHIELDED_SOURCE },
      shielded: true,
      install: 'install Python 3 with pip (Debian: python3 python3-pip)',
    })
  }
  if (dependencies === 'locked') await cached(PACKAGES, ['python', python, readFileSync(join(folder, 'requirements.txt'), 'utf8')], install)
  else await install()
  return undefined
}

/** The packages that requirements name; throws BuildFailed for what does not come from a registry. */
function requirementsOf(text: string): string[] {
  const lines = text
    .replace(/^\uFEFF/, '')
    .replaceAll(/\\\r?\n/g, ' ')
    .split(/\r?\n/)
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '')
  return lines.map((line) => {
    const named = line.replace(/(\s+--hash=\S+)+$/, '')
    if (named.startsWith('-') || /[/\\]|@\s|^\.|:\/\//.test(named)) throw notFromRegistry(named)
    return named.split(';')[0]?.trim() ?? ''
  })
}
