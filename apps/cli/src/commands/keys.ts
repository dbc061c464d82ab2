import { spawn } from 'node:child_process'
import type { Found } from '../home.ts'
import { askPlatform } from '../status.ts'

/** Replaces the keys that sign tokens, of the running platform. Tokens given out before stay good until they end. */
export async function rotateSigningKeys(found: Found): Promise<string> {
  await askPlatform(found.root, { method: 'POST', path: '/rotate-signing-keys' })
  return 'New keys sign tokens from now on. Tokens given out before stay good until they end, within the hour.\n'
}

/** Replaces the root key of a home on which no platform runs; the exit status of the platform's program. */
export async function rotateRootKey(options: { platform: readonly string[]; env: NodeJS.ProcessEnv }): Promise<number> {
  const [file = '', ...args] = options.platform
  const child = spawn(file, [...args, 'rotate-root-key'], { env: options.env, stdio: ['ignore', 'inherit', 'inherit'] })
  return await new Promise((resolve, reject) => child.once('error', reject).once('close', (code) => resolve(code ?? 1)))
}
