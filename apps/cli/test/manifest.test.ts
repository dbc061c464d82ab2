import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { readManifest } from '../src/renew/manifest.ts'

const folder = mkdtempSync(join(tmpdir(), 'ev-'))
after(() => rmSync(folder, { recursive: true }))

for (const [what, text] of [
  ['empty', ''],
  ['of comments alone', '# later\n'],
  ['a list', '- a\n'],
] as const)
  test(`an everleaf.yaml that is ${what} is told how it begins`, () => {
    const file = join(folder, 'everleaf.yaml')
    writeFileSync(file, text)
    assert.throws(() => readManifest(file), /the file must begin with a member such as `renewals:`/)
  })
