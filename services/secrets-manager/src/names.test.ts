import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NAME_PATTERN } from './names.ts'

// IBM's own pattern (api sheet §6.3); it takes exponential time, so it is only asked about short names.
const PUBLISHED = /^[A-Za-z0-9_][A-Za-z0-9_]*(?:_*-*\.*[A-Za-z0-9]*)*[A-Za-z0-9]+$/
const OURS = new RegExp(NAME_PATTERN)
const names = fc.string({ unit: fc.constantFrom(...'aZ09_-. /é\n'), maxLength: 9 })

test('NAME_PATTERN accepts the names that the published pattern accepts, and no others', () => {
  fc.assert(
    fc.property(names, (name) => assert.equal(OURS.test(name), PUBLISHED.test(name), JSON.stringify(name))),
    { numRuns: 2_000 },
  )
})

test('NAME_PATTERN answers at once on the input that stalls the published one', () => {
  const before = performance.now()
  OURS.test(`${'_-'.repeat(100_000)}!`)
  assert.ok(performance.now() - before < 100)
})

for (const name of ['../../etc/passwd', 'a b', 'a\u0000b', 'a\nb', 'a\n', 'é1', '%2e%2e', '{{a}}', "a';--", '__proto__', '.a', 'a-', 'ａb'])
  test(`NAME_PATTERN refuses ${JSON.stringify(name)}`, () => assert.equal(OURS.test(name), false))

for (const name of ['sm-cert', '_a', 'a.b_c-d9', 'constructor', '00']) test(`NAME_PATTERN accepts ${name}`, () => assert.ok(OURS.test(name)))
