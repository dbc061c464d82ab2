// npm test [kind …]: unit, service, journey, faults, crash, hostile, conformance, tools, canary. Lists by name what this machine could not run.
import { spawn } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'

type Suite = { readonly kind: string; readonly files: string; readonly alone?: boolean; readonly oneProcess?: boolean }

/** CI has an hour for everything. */
const SUITE_LIMIT_MS = 15 * 60_000

/** In the order they run: the cheap ones first, the one that greps everything written last. */
const suites: readonly Suite[] = [
  { kind: 'unit', files: '{apps,services,runtime,packages,samples}/*/src/**/*.test.ts', oneProcess: true },
  { kind: 'service', files: '{apps,services,runtime,packages,samples}/*/test/**/*.test.ts' },
  { kind: 'authz', files: 'tests/authz/**/*.test.ts' },
  { kind: 'journey', files: 'tests/journey/**/*.test.ts', alone: true },
  { kind: 'faults', files: 'tests/faults/**/*.test.ts', alone: true },
  { kind: 'crash', files: 'tests/crash/**/*.test.ts', alone: true },
  { kind: 'bad-input', files: 'tests/bad-input/**/*.test.ts', alone: true },
  { kind: 'hostile', files: 'tests/hostile/**/*.test.ts', alone: true },
  { kind: 'conformance', files: 'tests/conformance/**/*.test.ts', alone: true },
  { kind: 'tools', files: 'tests/tools/**/*.test.ts', alone: true },
  { kind: 'canary', files: 'tests/canary/**/*.test.ts', alone: true },
]

const wanted = process.argv.slice(2)
const unknown = wanted.filter((kind) => !suites.some((suite) => suite.kind === kind))
if (unknown.length > 0) {
  console.error(`There is no kind of test named ${unknown.join(', ')}. Kinds: ${suites.map(({ kind }) => kind).join(', ')}.`)
  process.exit(2)
}
const skips = join(mkdtempSync(join(tmpdir(), 'everleaf-tests-')), 'could-not-run')
const totals = { passed: 0, failed: 0, skipped: 0 }
for (const suite of suites) {
  if (wanted.length > 0 && !wanted.includes(suite.kind)) continue
  await runSuite(suite)
}
const couldNot = existsSync(skips) ? [...new Set(readFileSync(skips, 'utf8').trim().split('\n'))] : []
rmSync(join(skips, '..'), { recursive: true, force: true })
for (const line of couldNot) console.log(`could not run here: ${line}`)
// Vectors are not a package: they lie beside the project, or nowhere.
const missing = couldNot.some((line) => !line.startsWith('vectors: ')) && process.env.CI === 'true'
if (missing) console.log('CI must run everything: tools/system-packages installs what is missing.')
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
process.exitCode = totals.failed === 0 && totals.passed > 0 && !missing ? 0 : 1

async function runSuite(suite: Suite): Promise<void> {
  const files = globSync(suite.files)
    .filter((file) => !file.includes('node_modules'))
    .sort()
  if (files.length === 0) {
    totals.failed++
    return console.log(`FAIL ${suite.kind}: no file matches ${suite.files}`)
  }
  const isolation = suite.oneProcess ? ['--test-isolation=none'] : [`--test-concurrency=${suite.alone ? 1 : availableParallelism()}`]
  const child = spawn(process.execPath, ['--test', '--test-reporter=spec', '--test-timeout=600000', ...isolation, ...files], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_NO_WARNINGS: '1', EVERLEAF_COULD_NOT_RUN: skips },
  })
  // A file that leaves something open never ends by itself.
  const late = setTimeout(() => {
    output += `${suite.kind}: stopped after ${SUITE_LIMIT_MS / 60_000} minutes\n`
    child.kill('SIGKILL')
  }, SUITE_LIMIT_MS)
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const status = await new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 1)))
  clearTimeout(late)
  const count = (what: string) => Number(output.match(new RegExp(`^ℹ ${what} (\\d+)$`, 'm'))?.[1] ?? 0)
  const [passed, failed, skipped] = [count('pass'), count('fail') + count('cancelled'), count('skipped') + count('todo')]
  totals.passed += passed
  totals.failed += failed
  totals.skipped += skipped
  if (status !== 0 && failed === 0) totals.failed++
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${suite.kind}: ${files.length} files, ${passed} passed, ${failed} failed, ${skipped} skipped`)
  if (status !== 0) console.log(output)
}
