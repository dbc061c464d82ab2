// npm run check: types, lint and format, rooms, dead code, unit tests. Each part ran on something, or it fails.
import { spawnSync } from 'node:child_process'

type Part = { readonly name: string; readonly command: string; readonly args: readonly string[]; readonly ran: RegExp }

const bin = (name: string) => `node_modules/.bin/${name}`
const parts: readonly Part[] = [
  { name: 'types', command: bin('tsc'), args: ['-p', '.', '--extendedDiagnostics'], ran: /Files:\s+[1-9]/ },
  { name: 'lint', command: process.execPath, args: ['--no-warnings', bin('eslint'), '--max-warnings=0', '--format=stylish', '.'], ran: /^/ },
  { name: 'format', command: process.execPath, args: [bin('prettier'), '--check', '.'], ran: /All matched files use Prettier/ },
  { name: 'rooms', command: process.execPath, args: ['tools/check-rooms.ts'], ran: /rooms: [1-9]\d* files/ },
  { name: 'dead code', command: process.execPath, args: ['tools/check-dead.ts'], ran: /dead code: [1-9]\d* files/ },
  { name: 'reference', command: process.execPath, args: ['tools/reference.ts', '--check'], ran: /reference: [1-9]/ },
  { name: 'coverage', command: process.execPath, args: ['tools/coverage.ts', '--check'], ran: /coverage: [1-9]/ },
  { name: 'unit tests', command: process.execPath, args: ['tools/test.ts', 'unit'], ran: /\d+ passed, 0 failed/ },
]

const only = process.argv.slice(2)
const unknown = only.filter((name) => !parts.some((part) => part.name === name))
if (unknown.length > 0) {
  console.error(`There is no part named ${unknown.join(', ')}. Parts: ${parts.map(({ name }) => name).join(', ')}.`)
  process.exit(2)
}
let failed = 0
for (const part of parts.filter(({ name }) => only.length === 0 || only.includes(name))) {
  const began = performance.now()
  const { status, stdout, stderr } = spawnSync(part.command, part.args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  const output = `${stdout}${stderr}`
  const good = status === 0 && part.ran.test(output)
  console.log(`${good ? 'ok  ' : 'FAIL'} ${part.name} (${((performance.now() - began) / 1000).toFixed(1)} s)`)
  if (good) continue
  failed++
  console.log(status === 0 ? `${part.name} looked at nothing:\n${output}` : output)
}
process.exitCode = failed === 0 ? 0 : 1
