import { execFileSync, execSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'

/** One line of a result: what was measured, beside what it is to reach. */
export type Figure = { readonly what: string; readonly value: string; readonly reach: string; readonly met: boolean | undefined }

/** The value below which the share `p` of the values lies. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN
}

export function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`
}

/** Milliseconds from the start of an empty program to its end, median of nine: how fast this machine is at this hour. */
export function emptyProgramMs(): number {
  const once = () => {
    const began = performance.now()
    execFileSync(process.execPath, ['-e', ''])
    return performance.now() - began
  }
  return percentile(Array.from({ length: 9 }, once), 0.5)
}

/** A port that nobody has at this moment. A fixed one may be a client's own, of which a benchmark makes thousands. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Prints the figures and keeps them, with command, date, machine and commit, in benchmarks/results. */
export function report(name: string, figures: readonly Figure[]): void {
  const commit = execSync('git rev-parse --short HEAD').toString().trim()
  const about = {
    name,
    command: `npm run bench ${name}`,
    date: new Date().toISOString(),
    cores: availableParallelism(),
    load: loadavg()[0]?.toFixed(1),
    node: process.versions.node,
    emptyProgramMs: Math.round(emptyProgramMs()),
    commit,
    built: process.env.EVERLEAF_BUILT === '1',
  }
  for (const { what, value, reach, met } of figures) console.log(`${met === undefined ? '    ' : met ? 'met ' : 'MISS'} ${what}: ${value} (reach: ${reach})`)
  console.log(`     ${about.date}, ${about.cores} cores, load ${about.load}, an empty program ${about.emptyProgramMs} ms, commit ${commit}`)
  mkdirSync('benchmarks/results', { recursive: true })
  writeFileSync(join('benchmarks/results', `${name}.json`), `${JSON.stringify({ ...about, figures }, null, 1)}\n`)
}

/** A whole number given as `--name=N`. */
export function option(name: string, fallback: number): number {
  const found = process.argv.find((word) => word.startsWith(`--${name}=`))
  return found === undefined ? fallback : Number(found.slice(name.length + 3))
}

/** A process and everything below it. */
export function treeOf(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`
  if (!existsSync(file)) return []
  return [
    pid,
    ...readFileSync(file, 'utf8')
      .trim()
      .split(' ')
      .filter((text) => text !== '')
      .flatMap((child) => treeOf(Number(child))),
  ]
}
