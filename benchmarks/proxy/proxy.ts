// Requests proxied over kept TLS connections for each second of processor time, beside Caddy in the same run.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { chainMaker } from '@everleaf/tests/support/certificates'
import { option, percentile, report, treeOf } from '../lib.ts'

// wrk names in its handshake what it connects to.
const HOST = 'localhost'
const seconds = option('seconds', 10)
const folder = mkdtempSync(join(tmpdir(), 'ev-proxy-'))
const pair = await (await chainMaker()).leaf([HOST])
writeFileSync(join(folder, 'cert.pem'), `${pair.certificate}\n${pair.intermediate}`)
writeFileSync(join(folder, 'key.pem'), pair.privateKey)
const page = 'x'.repeat(1_024)
const app = createServer((_incoming, reply) => reply.end(page)).listen(0, '127.0.0.1')
await new Promise((up) => app.once('listening', up))
const backend = (app.address() as { port: number }).port

/** How one of the two is started on a port. */
type Start = (port: number) => ChildProcess

/** Requests for each second of processor time. Warm: what is measured is the way of a request, not the compiling of it. */
async function measure(start: Start, port: number): Promise<number> {
  const child = start(port)
  await sleep(2_000)
  const run = async (length: number) => (await promisify(execFile)('wrk', ['-t1', '-c16', `-d${length}s`, `https://${HOST}:${port}/`])).stdout
  await run(5)
  const cpu = () =>
    treeOf(child.pid ?? 0)
      .map((pid) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [])
      .reduce((all, parts) => all + Number(parts[11]) + Number(parts[12]), 0) / 100
  const before = cpu()
  const output = await run(seconds)
  const used = cpu() - before
  child.kill('SIGKILL')
  if (/Non-2xx/.test(output)) throw new Error(output)
  return Number(output.match(/(\d+) requests in/)?.[1]) / used
}

const startCaddy: Start = (port) => {
  const caddyfile = join(folder, `Caddyfile-${port}`)
  const site = `https://${HOST}:${port} {\n tls ${folder}/cert.pem ${folder}/key.pem\n reverse_proxy 127.0.0.1:${backend}\n}\n`
  writeFileSync(caddyfile, `{\n admin off\n auto_https off\n default_sni ${HOST}\n}\n${site}`)
  return spawn('caddy', ['run', '--config', caddyfile], { stdio: 'ignore', env: { ...process.env, HOME: folder } })
}
const startOurs: Start = (port) =>
  spawn(process.execPath, ['benchmarks/proxy/gateway.ts', folder, String(backend), HOST, String(port)], { stdio: ['ignore', 'ignore', 'inherit'] })

// One after the other, round for round: a machine that others use too is not equally fast for a whole minute.
const rounds = option('rounds', 3)
const rates = { caddy: [] as number[], ours: [] as number[] }
for (let round = 0; round < rounds; round++) {
  rates.caddy.push(await measure(startCaddy, 18_443 + 2 * round))
  rates.ours.push(await measure(startOurs, 18_444 + 2 * round))
}
app.close()
app.closeAllConnections()
const [caddy, ours] = [percentile(rates.caddy, 0.5), percentile(rates.ours, 0.5)]
report('proxy', [
  {
    what: `proxied requests per second of processor time, median of ${rounds} rounds (Caddy: ${caddy.toFixed(0)})`,
    value: `${ours.toFixed(0)} = ${(ours / caddy).toFixed(2)} x`,
    reach: '>= 1.2 x',
    met: ours / caddy >= 1.2,
  },
])
