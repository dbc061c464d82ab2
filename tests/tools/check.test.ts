import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ROOT } from '../support/platform.ts'

let copy = ''
before(() => {
  copy = mkdtempSync(join(tmpdir(), 'everleaf-check-'))
  // What git knows, as it is now; the installed packages by links of their own, because those of the rooms lead into the copy.
  const files = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' }).stdout.split('\0')
  for (const file of files) if (file !== '') cpSync(join(ROOT, file), join(copy, file), { force: true })
  mkdirSync(join(copy, 'node_modules'))
  for (const name of readdirSync(join(ROOT, 'node_modules')))
    if (name !== '@everleaf') symlinkSync(join(ROOT, 'node_modules', name), join(copy, 'node_modules', name))
  cpSync(join(ROOT, 'node_modules/@everleaf'), join(copy, 'node_modules/@everleaf'), { recursive: true, verbatimSymlinks: true })
})
after(() => rmSync(copy, { recursive: true, force: true }))

function check(part: string): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['tools/check.ts', part], { cwd: copy, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  return { status, output: stdout + stderr }
}

/** A fault in a file, and the file as it was afterwards. */
function planted(file: string, fault: (text: string) => string): { [Symbol.dispose](): void } {
  const path = join(copy, file)
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, fault(text))
  return { [Symbol.dispose]: () => writeFileSync(path, text) }
}

const SOURCE = 'packages/renewals/src/renewals.ts'
const faults: readonly [part: string, file: string, fault: (text: string) => string, says: RegExp][] = [
  ['types', SOURCE, (text) => `${text}\nexport const planted: number = 'one'\n`, /renewals\.ts.*TS2322/],
  ['lint', SOURCE, (text) => `${text}\nexport const planted = (text: string) => eval(text)\n`, /eval/],
  ['format', SOURCE, (text) => `${text}\nconst  planted   = 1\n`, /renewals\.ts/],
  ['rooms', SOURCE, (text) => `import '@everleaf/store'\n${text}`, /renewals.*store/],
  ['dead code', SOURCE, (text) => `${text}\nexport const planted = 1\n`, /nobody uses the export planted/],
  ['reference', 'docs/reference/gate.md', (text) => text.replace('expired', 'expierd'), /gate\.md is not what the code says/],
  ['coverage', 'docs/reference/coverage.md', (text) => text.replace('| here |', '| 501 |'), /coverage\.md/],
  ['unit tests', 'packages/renewals/src/renewals.test.ts', (text) => `${text}\ntest('planted', () => assert.fail('planted'))\n`, /planted/],
]
for (const [part, file, fault, says] of faults)
  test(`npm run check finds a planted fault by its part "${part}"`, { timeout: 120_000 }, () => {
    using _fault = planted(file, fault)
    const { status, output } = check(part)
    assert.equal(status, 1, output)
    assert.match(output, new RegExp(`^FAIL ${part}`, 'm'))
    assert.match(output, says)
  })

test('a kind of test that nobody knows, and one without files, is a failure', { timeout: 60_000 }, () => {
  const run = (...kinds: readonly string[]) => spawnSync(process.execPath, ['tools/test.ts', ...kinds], { cwd: copy, encoding: 'utf8' })
  assert.equal(run('nothing-like-it').status, 2)
  assert.equal(check('nothing-like-it').status, 2)
  using _fault = planted('tools/test.ts', (text) => text.replace("'tests/canary/**/*.test.ts'", "'tests/gone/**/*.test.ts'"))
  const { status, stdout } = run('canary')
  assert.equal(status, 1)
  assert.match(stdout, /FAIL canary: no file matches/)
})
