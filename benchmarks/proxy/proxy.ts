// Requests proxied over kept TLS connections for each second of processor time, beside Caddy in the same run.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { chainMaker } from '@everleaf/tests/support/certificates'
import { option, report, treeOf } from '../lib.ts'

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

async function measure(child: ChildProcess, port: number): Promise<number> {
  await sleep(2_000)
  const run = async (length: number) => (await promisify(execFile)('wrk', ['-t1', '-c16', `-d${length}s`, `https://${HOST}:${port}/`])).stdout
  await run(2)
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

const caddyfile = join(folder, 'Caddyfile')
writeFileSync(
  caddyfile,
  `{\n admin off\n auto_https off\n default_sni ${HOST}\n}\nhttps://${HOST}:18443 {\n tls ${folder}/cert.pem ${folder}/key.pem\n reverse_proxy 127.0.0.1:${backend}\n}\n`,
)
const caddy = await measure(spawn('caddy', ['run', '--config', caddyfile], { stdio: 'ignore', env: { ...process.env, HOME: folder } }), 18_443)
const ours = await measure(
  spawn(process.execPath, ['benchmarks/proxy/gateway.ts', folder, String(backend), HOST, '18444'], { stdio: ['ignore', 'ignore', 'inherit'] }),
  18_444,
)
app.close()
app.closeAllConnections()
report('proxy', [
  {
    what: `proxied requests per second of processor time (Caddy: ${caddy.toFixed(0)})`,
    value: `${ours.toFixed(0)} = ${(ours / caddy).toFixed(2)} x`,
    reach: '>= 1.2 x',
    met: ours / caddy >= 1.2,
  },
])
