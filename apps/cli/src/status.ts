import { join } from 'node:path'
import type { Found } from './home.ts'

// Not by import: see packages/world/src/http.ts. Loaded by the first question.
const http = () => process.getBuiltinModule('node:http')

export type Status = {
  readonly ready: boolean
  readonly core: { readonly pid: number | null; readonly restarts: number }
  readonly connections: number
  readonly requests: number
  readonly findings: readonly { readonly subject: string; readonly works: boolean; readonly message: string }[]
}

/** What the platform says of itself, by its control socket. */
export function readStatus(root: string): Promise<Status> {
  return askPlatform<Status>(root, { method: 'GET', path: '/status' })
}

/** Asks the platform of this home over its control socket. Throws with the platform's reason. */
export function askPlatform<T>(
  root: string,
  { method, path, body, timeoutMs = 5_000 }: { method: 'GET' | 'POST'; path: string; body?: unknown; timeoutMs?: number },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const outgoing = http().request({ socketPath: join(root, 'run', 'edge.sock'), method, path, timeout: timeoutMs }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.once('end', () => {
        const answer = JSON.parse(text) as T & { error?: string }
        if (response.statusCode === 200) resolve(answer)
        else reject(new Error(`the platform refused: ${answer.error ?? response.statusCode}`))
      })
    })
    outgoing.once('timeout', () => outgoing.destroy(new Error('the platform does not answer on its control socket')))
    outgoing.once('error', reject)
    outgoing.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** Where the sync app reaches IAM and Secrets Manager: names where instances have a hosts file of their own, else plain loopback. */
export async function apiAddresses({ root, ports }: Found, secretsManager: string): Promise<{ iamUrl: string; secretsManagerUrl: string }> {
  const { findings } = await readStatus(root)
  const named = findings.every(({ subject, works }) => subject !== 'mounts' || works)
  if (!named) return { iamUrl: `http://127.0.0.1:${ports.api}/iam`, secretsManagerUrl: `http://127.0.0.1:${ports.api}/secrets-manager/${secretsManager}` }
  return {
    iamUrl: `https://iam.${ports.domain}:${ports.private}`,
    secretsManagerUrl: `https://${secretsManager}.secrets-manager.${ports.domain}:${ports.private}`,
  }
}
