import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { createWorld } from '@everleaf/world'
import { createPlainHttp } from '@everleaf/world/plain'
import { run } from '../src/ibmcloud/run.ts'

// Logged in already: most commands then ask once.
const claims = Buffer.from(JSON.stringify({ account: { bss: 'account' }, exp: 4_000_000_000, iam_id: 'iam-me', sub: 'me' })).toString('base64url')
const STATE = JSON.stringify({ token: { value: `x.${claims}.x`, endsAt: 4_000_000_000_000, of: 'platform account' } })

export type Answer = (response: ServerResponse, request: IncomingMessage) => void

/** Commands in this process, against a far side that answers what `far.answer` says; the current folder is `inside`. */
export function typeAgainstFarSide() {
  const folder = mkdtempSync(join(tmpdir(), 'ev-'))
  const inside = join(folder, 'a', 'b')
  mkdirSync(inside, { recursive: true })
  const seen: string[] = []
  const far: { answer: Answer } = { answer: () => {} }
  const server = createServer((request, response) => {
    seen.push(request.url ?? '')
    if (request.url === '/iam/identity/token') {
      return void response.end(JSON.stringify({ access_token: `x.${claims}.x`, expires_in: 3600 }))
    }
    request.resume().on('end', () => far.answer(response, request))
  })
  before(async () => {
    process.chdir(inside)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    mkdirSync(join(folder, 'run'))
    const { port: api } = server.address() as AddressInfo
    writeFileSync(join(folder, 'run/ports.json'), JSON.stringify({ pid: process.pid, api, region: 'eu-de', domain: 'everleaf.localhost' }))
    writeFileSync(join(folder, 'login.json'), JSON.stringify({ account: 'account', apikey: 'k', secretsManager: 'sm', eventNotifications: 'en', project: 'p' }))
  })
  after(() => {
    server.closeAllConnections()
    server.close()
    process.chdir('/')
    rmSync(folder, { recursive: true })
  })

  async function type(words: readonly string[]) {
    const out: string[] = []
    const err: string[] = []
    const stateFile = join(folder, 'state.json')
    writeFileSync(stateFile, STATE)
    let clockMs = 0
    const world = createWorld({ http: createPlainHttp() })
    const status = await run(words, {
      // Waits pass at once.
      world: { ...world, chance: () => 0, monotonicMs: () => clockMs, sleep: async (ms) => void (clockMs += Math.max(ms, 1_000)) },
      env: {},
      home: folder,
      stateFile,
      screen: () => ({
        result: (text) => void out.push(text),
        note: (text) => void out.push(text),
        remark: (text) => void err.push(text),
        warn: (text) => void err.push(text),
        ask: async () => undefined,
        askSecret: async () => undefined,
      }),
    })
    return { status, out: out.join('\n'), err: err.join('\n') }
  }
  return { folder, inside, seen, far, type }
}
