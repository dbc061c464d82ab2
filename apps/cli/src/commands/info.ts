import { isIPv6 } from 'node:net'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type Found, NotHere } from '../home.ts'
import { askPlatform, readStatus } from '../status.ts'
import type { Terminal } from '../terminal.ts'

type HostLine = { readonly address: string; readonly names: readonly string[] }

/** Lines for a hosts file, for programs with fixed host names: the same names as instances have, but those of Kubernetes, which other programs look for too. */
export async function hosts({ root }: Found): Promise<string> {
  const lines = await askPlatform<readonly HostLine[]>(root, { method: 'GET', path: '/hosts' })
  return lines.flatMap(({ address, names }) => names.filter((name) => !name.startsWith('kubernetes.')).map((name) => `${address} ${name}\n`)).join('')
}

const BEGIN = '# everleaf: names of the platform on this machine, written by `everleaf hosts --write`'
const END = '# everleaf: end'

/** Puts the lines into a hosts file, in place of those that an earlier call put there; the rest of it stays. Throws NotHere. */
export function writeHosts(lines: string, file: string): void {
  try {
    const before = existsSync(file) ? readFileSync(file, 'utf8') : ''
    const at = before.indexOf(BEGIN)
    const end = before.indexOf(END, at)
    const kept = at === -1 ? before : before.slice(0, at) + (end === -1 ? '' : before.slice(end + END.length).replace(/^\n/, ''))
    const next = `${kept}${kept === '' || kept.endsWith('\n') ? '' : '\n'}${lines === '' ? '' : `${BEGIN}\n${lines}${END}\n`}`
    // In place: a hosts file may be a mount, which cannot be renamed over.
    writeFileSync(file, next)
  } catch (cause) {
    throw new NotHere(
      `${file} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}\nRun it as root, or take the lines from: everleaf hosts`,
      { cause },
    )
  }
}

/** The platform's certificate authority, PEM. */
export function trust(found: Found): string {
  return readFileSync(found.caFile, 'utf8')
}

function auditFinding(line: number | null) {
  const message =
    line === null
      ? 'every line fits the one before it'
      : `line ${line} does not fit the one before it: the database was changed by something else than Everleaf; compare it with a backup`
  return { subject: 'audit log', works: line === null, message }
}

/** What works on this machine and what does not; true when Everleaf does its work here: findings are limits of the machine that it works within. */
export async function doctor(found: Found, terminal: Terminal): Promise<boolean> {
  const { findings, ready, core } = await readStatus(found.root)
  const fixed = found.ports.fixedNames
  const audit = ready ? await askPlatform<{ line: number | null }>(found.root, { method: 'GET', path: '/audit', timeoutMs: 120_000 }) : undefined
  const all = [
    ...(audit === undefined ? [] : [auditFinding(audit.line)]),
    {
      subject: 'platform',
      works: ready,
      message: ready ? `answers; core has been started again ${core.restarts} times` : 'core is not answering: see what the platform printed',
    },
    {
      subject: "IBM's fixed names",
      works: fixed !== null,
      message:
        fixed === null
          ? "port 443 of the platform's own address cannot be had, so programs with IBM's host names fixed in the code do not work in instances; run the platform with the right to use it (CAP_NET_BIND_SERVICE)"
          : `work in instances (${fixed}:443)`,
    },
    {
      subject: "the cluster's names",
      works: found.ports.clusterNames !== null,
      message:
        found.ports.clusterNames === null
          ? "port 80 of the platform's own address cannot be had, or instances have no hosts file: they reach the apps of their project by private names over TLS, not at http://APP.SUBDOMAIN.svc.cluster.local"
          : `http://APP.SUBDOMAIN.svc.cluster.local reaches an app from instances of its project (${found.ports.clusterNames}:80)`,
    },
    ...findings,
  ]
  for (const { subject, works, message } of all) terminal.line(`${works ? terminal.green('works') : terminal.red('not  ')}  ${subject}: ${message}`)
  return ready && audit?.line === null
}

export async function status(found: Found, json: boolean): Promise<string> {
  const seen = await readStatus(found.root)
  if (json) return `${JSON.stringify(seen)}\n`
  const { ports } = found
  return [
    `${seen.ready ? 'ready' : 'core is away; serving goes on'} (home ${found.root}, pid ${ports.pid})`,
    `APIs     http://127.0.0.1:${ports.api}`,
    `public   https://${isIPv6(ports.listen) ? `[${ports.listen}]` : ports.listen}:${ports.public}`,
    `private  https://127.0.0.1:${ports.private}`,
    `open connections ${seen.connections}, requests so far ${seen.requests}, core started again ${seen.core.restarts} times`,
  ]
    .map((line) => `${line}\n`)
    .join('')
}
