import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { REASONS } from '@everleaf/pki'
import { SERVED_REASONS } from '../src/certificate/served-reasons.ts'

const everleaf = join(import.meta.dirname, '../../../bin/everleaf')
const run = (...words: readonly string[]) => spawnSync(process.execPath, [everleaf, 'certificate', 'explain', ...words], { encoding: 'utf8', timeout: 20_000 })

test('certificate explain tells what a word means, why it matters and how it is mended', () => {
  const { status, stdout } = run('missing-intermediate', 'not-the-file')
  assert.equal(status, 0)
  assert.match(stdout, /missing-intermediate\n {2}what .*\n {2}why .*curl.*\n {2}mend .*openssl x509[^]*not-the-file\n/)
})

test('certificate explain knows every word that check may answer with', () => {
  const all: { code: string; means: string; why: string; mend: string }[] = JSON.parse(run('--json').stdout)
  assert.deepEqual(
    all.map(({ code }) => code),
    [...Object.keys(REASONS), ...Object.keys(SERVED_REASONS)],
  )
  assert.ok(all.every(({ means, why, mend }) => [means, why, mend].every((text) => text.length > 5)))
})

test('certificate explain ends with 2 for a word that is none, and names the nearest', () => {
  const { status, stderr } = run('expird')
  assert.equal(status, 2)
  assert.match(stderr, /^everleaf: There is no reason expird\. Did you mean expired\?/)
})

test('everleaf certificate is the same from its own entry and from the whole command line', () => {
  const whole = join(import.meta.dirname, '../src/main.ts')
  const words = ['certificate', 'check', '--help']
  const env = { ...process.env, NODE_NO_WARNINGS: '1' }
  assert.equal(
    execFileSync(process.execPath, [everleaf, ...words], { encoding: 'utf8' }),
    execFileSync(process.execPath, [whole, ...words], { encoding: 'utf8', env }),
  )
  const wrong = spawnSync(process.execPath, [everleaf, 'certificate', 'check', '--no-such'], { encoding: 'utf8' })
  assert.equal(wrong.status, 2)
  assert.match(wrong.stderr, /^everleaf: There is no option --no-such\./)
})
