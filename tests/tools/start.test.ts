import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually, ROOT } from '../support/platform.ts'

type Find = (files: typeof fs, of: { folder: string; role: string; base: string }) => string | undefined
const { bundleOf } = (await import(join(ROOT, 'bin/start.js'))) as { bundleOf: Find }

function made() {
  const base = `${fs.mkdtempSync(join(tmpdir(), 'ev-'))}/`
  fs.writeFileSync(`${base}a.ts`, 'one')
  const { mtimeMs, size } = fs.statSync(`${base}a.ts`)
  fs.writeFileSync(`${base}command.json`, JSON.stringify([['a.ts', mtimeMs, size]]))
  return { base, found: () => bundleOf(fs, { folder: base.slice(0, -1), role: 'command', base }), [Symbol.dispose]: () => fs.rmSync(base, { recursive: true }) }
}

test('a command starts from its one file while its sources are those that it was made of', () => {
  using place = made()
  assert.equal(place.found(), `${place.base}command.mjs`)
})

for (const [what, change] of [
  ['is changed', (file: string) => fs.writeFileSync(file, 'another')],
  ['is older', (file: string) => fs.utimesSync(file, 1, 1)],
  ['is gone', (file: string) => fs.rmSync(file)],
] as const)
  test(`a command starts from its source once one file of it ${what}`, () => {
    using place = made()
    change(`${place.base}a.ts`)
    assert.equal(place.found(), undefined)
  })

test('the first command of a checkout starts from source and makes the one file behind itself, which the next one takes', { timeout: 60_000 }, async () => {
  using place = copy()
  const version = () => execFileSync(process.execPath, [join(place.base, 'bin/ibmcloud'), '--version'], { encoding: 'utf8' })
  const shown = version()
  const file = join(place.base, 'node_modules/.cache/everleaf-commands/ibmcloud.mjs')
  await eventually('the one file is made', () => fs.existsSync(file.replace('.mjs', '.json')))
  fs.writeFileSync(file, "console.log('from the one file')")
  assert.equal(version(), 'from the one file\n')
  assert.doesNotMatch(shown, /from the one file/)
})

/** This checkout without what was made of it. */
function copy() {
  const base = fs.mkdtempSync(join(tmpdir(), 'ev-'))
  for (const name of ['apps', 'bin', 'packages', 'tools', 'package.json', 'package-lock.json'])
    fs.cpSync(join(ROOT, name), join(base, name), { recursive: true, filter: (path) => !path.includes('node_modules') })
  fs.mkdirSync(join(base, 'node_modules'))
  for (const name of fs.readdirSync(join(ROOT, 'node_modules')))
    if (name === '@everleaf') linkWorkspaces(base)
    else if (name !== '.cache') fs.symlinkSync(join(ROOT, 'node_modules', name), join(base, 'node_modules', name))
  return { base, [Symbol.dispose]: () => fs.rmSync(base, { recursive: true, force: true, maxRetries: 5 }) }
}

function linkWorkspaces(base: string): void {
  const scope = join(base, 'node_modules/@everleaf')
  fs.mkdirSync(scope)
  for (const room of ['apps', 'packages'])
    for (const name of fs.readdirSync(join(base, room))) {
      const { name: full } = JSON.parse(fs.readFileSync(join(base, room, name, 'package.json'), 'utf8')) as { name: string }
      if (full.startsWith('@everleaf/')) fs.symlinkSync(join(base, room, name), join(scope, full.slice('@everleaf/'.length)))
    }
}
