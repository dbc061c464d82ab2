import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually, ROOT } from '../support/platform.ts'

type Place = { folder: string; role: string; base: string; isEarly?: boolean }
type Start = {
  commandOf: (of: Place) => { file: string; text: string } | undefined
  codeFileOf: (file: string, typed: readonly string[]) => string
}
const { commandOf, codeFileOf } = createRequire(import.meta.url)(join(ROOT, 'bin/everleaf')) as Start

function made() {
  const base = `${fs.mkdtempSync(join(tmpdir(), 'ev-'))}/`
  for (const name of ['a', 'late']) fs.writeFileSync(`${base}${name}.ts`, 'one')
  fs.writeFileSync(`${base}command-1.js`, 'its text')
  const state = (path: string) => ({ paths: [path], times: [fs.statSync(base + path).mtimeMs], sizes: [fs.statSync(base + path).size] })
  fs.writeFileSync(`${base}command.json`, JSON.stringify({ file: 'command-1.js', ...state('a.ts') }))
  fs.writeFileSync(`${base}command.late.json`, JSON.stringify(state('late.ts')))
  const found = (isEarly = false) => commandOf({ folder: base.slice(0, -1), role: 'command', base, isEarly })
  return { base, found, [Symbol.dispose]: () => fs.rmSync(base, { recursive: true }) }
}

test('a command starts from its one file while its sources are those that it was made of', () => {
  using place = made()
  assert.deepEqual(place.found(), { file: `${place.base}command-1.js`, text: 'its text' })
})

for (const [what, change] of [
  ['one source of it is changed', ({ base }) => fs.writeFileSync(`${base}a.ts`, 'another')],
  ['one source of it is older', ({ base }) => fs.utimesSync(`${base}a.ts`, 1, 1)],
  ['one source of it is gone', ({ base }) => fs.rmSync(`${base}a.ts`)],
  ['its file is gone', ({ base }) => fs.rmSync(`${base}command-1.js`)],
  ['its list is cut off', ({ base }) => fs.truncateSync(`${base}command.json`, 20)],
] satisfies readonly (readonly [string, (place: { base: string }) => void])[])
  test(`a command starts from its source once ${what}`, () => {
    using place = made()
    change(place)
    assert.equal(place.found(), undefined)
    assert.equal(place.found(true), undefined)
  })

test('a command that imports nothing late starts from its one file though a late source has changed, another one does not', () => {
  using place = made()
  fs.writeFileSync(`${place.base}late.ts`, 'another')
  assert.equal(place.found(true)?.text, 'its text')
  assert.equal(place.found(), undefined)
})

test('what was compiled is kept by the text of the file, the Node and the words of the command', () => {
  const node = `${process.version}-${process.arch}`
  assert.equal(codeFileOf('/x/ibmcloud-1.js', ['ce', 'app', 'get', '-n', 'app']), `/x/ibmcloud-1.${node}.ce.app.get.code`)
  assert.equal(codeFileOf('/x/ibmcloud-1.js', ['ce', 'app', 'get', 'more', 'words']), `/x/ibmcloud-1.${node}.ce.app.get.code`)
  assert.equal(codeFileOf('/x/certificate-1.js', ['certificate', 'check', '../../up.pem']), `/x/certificate-1.${node}.certificate.check.code`)
  assert.equal(codeFileOf('/x/ibmcloud-1.js', []), `/x/ibmcloud-1.${node}..code`)
})

test('the first command of a checkout starts from source and makes the one file behind itself, which the next ones take', { timeout: 120_000 }, async () => {
  using place = copy()
  const version = () => execFileSync(process.execPath, [join(place.base, 'bin/ibmcloud'), 'version'], { encoding: 'utf8' })
  const folder = join(place.base, 'node_modules/.cache/everleaf-commands')
  const named = (ending: string) => fs.readdirSync(folder).filter((name) => name.startsWith('ibmcloud-') && name.endsWith(ending))
  const shown = version()
  await eventually('the one file is made', () => fs.existsSync(join(folder, 'ibmcloud.json')) && !fs.existsSync(join(folder, 'making')))
  assert.deepEqual(named('.code'), [])
  assert.equal(version(), shown)
  // What this command compiled is there for the next one, which runs the same.
  const [code = ''] = named('.code')
  assert.match(code, /\.version\.code$/)
  assert.equal(version(), shown)
  // Damaged, or of another V8: it is compiled anew, and nothing is lost.
  fs.truncateSync(join(folder, code), 100)
  assert.equal(version(), shown)
  const [file = ''] = named('.js')
  fs.writeFileSync(join(folder, file), "(function () { console.log('from the one file') })")
  fs.rmSync(join(folder, code))
  assert.equal(version(), 'from the one file\n')
  // A source that has changed: from source, and another file behind it.
  fs.appendFileSync(join(place.base, 'apps/cli/src/ibmcloud/core/version.ts'), "\nconsole.log('changed')\n")
  assert.equal(version(), `changed\n${shown}`)
  await eventually('another one is made', () => named('.js').length === 1 && named('.js')[0] !== file && !fs.existsSync(join(folder, 'making')))
  assert.equal(version(), `changed\n${shown}`)
  assert.equal(named('.code').length, 1)
})

test('a command that fails or asks for help keeps nothing of what it compiled', { timeout: 120_000 }, async () => {
  using place = copy()
  const run = (...words: readonly string[]) => spawnSync(process.execPath, [join(place.base, 'bin/everleaf'), 'certificate', ...words], { encoding: 'utf8' })
  const folder = join(place.base, 'node_modules/.cache/everleaf-commands')
  run('--help')
  await eventually('the one file is made', () => fs.existsSync(join(folder, 'certificate.json')) && !fs.existsSync(join(folder, 'making')))
  assert.equal(run('check', '/nowhere.pem').status, 2)
  assert.equal(run('explain', '--help').status, 0)
  const kept = () => fs.readdirSync(folder).filter((name) => name.endsWith('.code')).length
  assert.equal(kept(), 0)
  assert.equal(run('explain', 'expired').status, 0)
  assert.equal(kept(), 1)
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
