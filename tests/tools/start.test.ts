import assert from 'node:assert/strict'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../support/platform.ts'

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
