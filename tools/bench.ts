// npm run bench [name …] [-- --option=N]: runs the benchmarks one after the other; without a name, lists them.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'

const all = readdirSync('benchmarks', { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(`benchmarks/${entry.name}/${entry.name}.ts`))
  .map(({ name }) => name)
const words = process.argv.slice(2)
const names = words.filter((word) => !word.startsWith('--'))
const unknown = names.filter((name) => name !== 'all' && !all.includes(name))
if (names.length === 0 || unknown.length > 0) {
  console.log(`Benchmarks: ${all.join(', ')}; or all.`)
  process.exit(unknown.length > 0 ? 2 : 0)
}
let failed = 0
for (const name of names.includes('all') ? all : names) {
  console.log(`\n${name}`)
  const { status } = spawnSync(process.execPath, [`benchmarks/${name}/${name}.ts`, ...words.filter((word) => word.startsWith('--'))], {
    stdio: 'inherit',
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  })
  if (status !== 0) failed++
}
process.exitCode = failed === 0 ? 0 : 1
