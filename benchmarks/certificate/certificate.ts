// How long the gate takes: a decision on three certificates, on the worst that can be given, its import alone and up to its first decision, and
// `everleaf certificate check`.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decide, examine } from '@everleaf/pki'
import { type Authority, createAuthority, issueLeaf } from '@everleaf/pki/issue'
import { longRsaKey } from '@everleaf/tests/support/long-key'
import { ROOT } from '@everleaf/tests/support/platform'
import { build } from 'esbuild'
import { ms, option, percentile, report } from '../lib.ts'

const TIMES = option('times', 25)
const now = new Date()
const life = { now, lifeMs: 30 * 86_400_000 }
const root = await createAuthority({ name: 'Bench root', ...life })
const authority = await createAuthority({ name: 'Bench', parent: root, ...life })
const leaf = await issueLeaf({ authority, names: ['shop.example.com'], ...life })
const chain = leaf.certificate + authority.certificate + root.certificate
const median = (values: readonly number[]) => percentile(values, 0.5)
function timed(work: () => unknown): number {
  const began = performance.now()
  work()
  return performance.now() - began
}

// Warm, as in sync and in core: both ask for one certificate after the other.
const question = { bundle: { certificate: chain }, privateKey: leaf.privateKey, boundHosts: ['shop.example.com'], accept: [] }
const ask = () => decide({ ...question, now })
for (let n = 0; n < 50; n++) if (!ask().accept) throw new Error('the gate refuses a flawless bundle')
const decisions = Array.from({ length: 200 }, () => timed(ask))

// Three authorities of one name in a circle, each signed three times by the one before it: 27 ways around. And the longest key that OpenSSL takes.
const long = await issueLeaf({ authority, names: ['shop.example.com'], ...life, algorithm: 'rsa', odd: { privateKey: longRsaKey(16_384) } })
const WORST = {
  '10 MB of white space': ' \n'.repeat(5_000_000),
  '1,000 certificates': leaf.certificate.repeat(1000),
  'authorities that signed each other in a circle': await crossed(),
  'a key of 16,384 bits': long.certificate + authority.certificate,
}
const before = process.memoryUsage().rss
const worst = Object.entries(WORST).map(([what, certificate]) => {
  const tookMs = timed(() => examine({ bundle: { certificate }, boundHosts: ['shop.example.com'], accept: [], trust: { roots: root.certificate }, now }))
  return { what, tookMs }
})
const grownMb = (process.memoryUsage().rss - before) / 2 ** 20
const slowest = worst.reduce((one, other) => (other.tookMs > one.tookMs ? other : one))

execFileSync(process.execPath, ['tools/build-commands.ts'], { cwd: ROOT, stdio: 'inherit' })
const folder = mkdtempSync(join(tmpdir(), 'everleaf-bench-'))
const file = join(folder, 'chain.pem')
writeFileSync(file, chain)
const run = (words: readonly string[]) => timed(() => spawnSync(process.execPath, words, { cwd: ROOT, stdio: 'ignore' }))
const gate = JSON.stringify(join(ROOT, 'packages/pki/src/index.ts'))
// As sync and the commands have it.
const one = join(folder, 'gate.cjs')
const smaller = { minifySyntax: true, minifyWhitespace: true }
await build({
  entryPoints: [join(ROOT, 'packages/pki/src/gate.ts')],
  outfile: one,
  bundle: true,
  platform: 'node',
  target: 'node26',
  format: 'cjs',
  ...smaller,
})
const asked = join(folder, 'question.json')
writeFileSync(asked, JSON.stringify(question))
const cached = "process.getBuiltinModule('node:module').enableCompileCache(process.env.EVERLEAF_BENCH_CACHE);"
const required = `${cached} const { decide } = require(${JSON.stringify(one)});`
const decided = `if (!decide({ ...JSON.parse(require('node:fs').readFileSync(${JSON.stringify(asked)}, 'utf8')), now: new Date() }).accept) process.exit(1)`
process.env.EVERLEAF_BENCH_CACHE = join(folder, 'cache')
const commands = {
  empty: ['-e', ''],
  check: ['bin/everleaf', 'certificate', 'check', file],
  noModule: ['--input-type=module', '-e', cached],
  source: ['--input-type=module', '-e', `${cached} await import(${gate})`],
  nothing: ['-e', cached],
  oneFile: ['-e', required],
  firstDecision: ['-e', required + decided],
}
// Once for the cache of compiled code; and none may fail, or what is measured is how long failing takes.
for (const [name, words] of Object.entries(commands)) {
  const { status, stderr } = spawnSync(process.execPath, words, { cwd: ROOT, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${name}: ${stderr}`)
}
const took = Object.fromEntries(Object.keys(commands).map((name) => [name, [] as number[]])) as Record<keyof typeof commands, number[]>
// In turns, so that what else the machine does falls on all of them.
for (let n = 0; n < TIMES; n++) for (const name of Object.keys(commands) as (keyof typeof commands)[]) took[name].push(run(commands[name]))
rmSync(folder, { recursive: true })

const [empty, check] = [median(took.empty), median(took.check)]
const [fromSource, asOneFile] = [median(took.source) - median(took.noModule), median(took.oneFile) - median(took.nothing)]
const untilDecided = median(took.firstDecision) - median(took.nothing)
report('certificate', [
  { what: 'decision on three certificates and a key, warm, median of 200', value: ms(median(decisions)), reach: '2 ms', met: median(decisions) <= 2 },
  { what: `the worst that can be given (${slowest.what})`, value: ms(slowest.tookMs), reach: '1 s', met: slowest.tookMs <= 1000 },
  { what: 'memory that the worst needs', value: `${grownMb.toFixed(0)} MiB`, reach: '64 MiB', met: grownMb <= 64 },
  { what: `import of the gate from source, compiled before (an empty program: ${ms(empty)})`, value: ms(fromSource), reach: '10 ms', met: fromSource <= 10 },
  { what: 'import of the gate as one file, as sync and the commands have it', value: ms(asOneFile), reach: '10 ms', met: asOneFile <= 10 },
  { what: 'the same and its first decision, which loads node:crypto', value: ms(untilDecided), reach: 'told', met: undefined },
  {
    what: `everleaf certificate check, start to exit, median of ${TIMES}`,
    value: `${ms(check)}, ${(check / empty).toFixed(2)} times an empty program`,
    reach: '1.5 times',
    met: check <= 1.5 * empty,
  },
])

async function crossed(): Promise<string> {
  const signers: Authority[] = []
  for (let n = 0; n < 3; n++) signers.push(await createAuthority({ name: 'Crossed', ...life }))
  const certificates: string[] = []
  for (const [n, { privateKey }] of signers.entries())
    for (let copy = 0; copy < 3; copy++)
      certificates.push(
        (await issueLeaf({ authority: signers[(n + 1) % 3] as Authority, names: ['Crossed'], ...life, odd: { ca: true, privateKey } })).certificate,
      )
  return [(await issueLeaf({ authority: signers[0] as Authority, names: ['shop.example.com'], ...life })).certificate, ...certificates].join('')
}
