import assert from 'node:assert/strict'
import { createPublicKey, verify, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request as plainRequest } from 'node:http'
import { Agent, type RequestOptions, request } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { eventually, everleaf, freshHome, login, startPlatform } from '../support/platform.ts'
import { servedLeaf } from '../support/tls.ts'

const LOGINS = 1_000
const ROTATIONS = 5
const AT_ONCE = 8

type Jwk = Readonly<Record<string, string>>

/** True where these public keys, known since before, prove the token. */
function isProven(token: string, keys: readonly Jwk[]): boolean {
  const [head = '', body = '', signature = ''] = token.split('.')
  const { kid } = JSON.parse(Buffer.from(head, 'base64url').toString()) as { kid: string }
  const key = keys.find((one) => one.kid === kid)
  return key !== undefined && verify('sha256', Buffer.from(`${head}.${body}`), createPublicKey({ key, format: 'jwk' }), Buffer.from(signature, 'base64url'))
}

test(`the keys that sign tokens are replaced ${ROTATIONS} times during ${LOGINS} logins: no login and no token is refused`, { timeout: 180_000 }, async () => {
  using place = freshHome()
  await using platform = await startPlatform(place)
  const published = async () => ((await (await fetch(`${platform.env.IAM_IDENTITY_URL}/identity/keys`)).json()) as { keys: Jwk[] }).keys
  const use = async (token: string) => (await fetch(`${platform.env.CODE_ENGINE_URL}/projects`, { headers: { authorization: `Bearer ${token}` } })).status
  // What a service that keeps the keys knows: those published before the rotation that is under way.
  let known = await published()
  const kids = new Set<string>()
  const refused: string[] = []
  const tokens: string[] = []
  let begun = 0
  let rotations = 0
  let rotating: Promise<void> | undefined
  const rotate = async () => {
    const ended = await everleaf(['keys', 'rotate'], place)
    assert.equal(ended.status, 0, ended.stderr)
    rotations++
    known = await published()
    rotating = undefined
  }
  const work = async () => {
    while (begun < LOGINS || rotations < ROTATIONS) {
      begun++
      if (begun > ((rotations + 1) * LOGINS) / (ROTATIONS + 1)) rotating ??= rotate()
      const keys = known
      const token = await login(platform.env).catch((error: Error) => error.message)
      if (!isProven(token, [...keys, ...known])) refused.push(`login ${begun}: ${token.slice(0, 60)}`)
      else if ((await use(token)) !== 200) refused.push(`use ${begun}`)
      tokens.push(token)
      kids.add(token.split('.')[0] ?? '')
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  await rotating
  assert.deepEqual(refused, [])
  assert.ok(tokens.length >= LOGINS, `${tokens.length} logins`)
  assert.equal(kids.size, ROTATIONS + 1, 'not every key has signed')
  assert.equal(await use(tokens[0] ?? ''), 200, 'the first token, five keys later')
})

const HOST = 'iam.everleaf.localhost'
const CONNECTIONS = 12
/** Between the start and the renewal: connections are opened in this time. */
const DUE_IN_MS = 15_000

test("the platform's own certificate is renewed under requests: no connection is dropped and no request fails", { timeout: 120_000 }, async () => {
  using place = freshHome()
  const before = await (async () => {
    await using platform = await startPlatform(place)
    return await shownBy(platform.ports.public)
  })()
  // A third of its life is left soon after the second start.
  const [from, until] = [before.validFromDate.getTime(), before.validToDate.getTime()]
  const startedAt = Date.now()
  const offset = String(Math.ceil(until - (until - from) / 3 - DUE_IN_MS - startedAt))
  await using platform = await startPlatform({ ...place, env: { EVERLEAF_CLOCK_OFFSET: offset } })
  const ca = readFileSync(join(place.home, 'run/ca.pem'), 'utf8')
  const port = platform.ports.public
  const fingerprint = () => servedLeaf(HOST, port, { ca })
  const old = await fingerprint()
  assert.equal(old, fingerprintOf(before), `renewed before the connections were there, ${Date.now() - startedAt} ms after the start`)

  const to: RequestOptions = { host: '127.0.0.1', port, servername: HOST, ca, headers: { host: HOST }, timeout: 20_000 }
  const failures: string[] = []
  let closed = 0
  let [answered, reused, isOver] = [0, 0, false]
  const agents = Array.from({ length: CONNECTIONS }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
  const keep = async (agent: Agent) => {
    for (let turn = 0; !isOver; turn++) {
      const { status, socket } = await ask({ ...to, agent, path: '/identity/keys' })
      if (status !== 200) failures.push(`${status}`)
      if (turn === 0) socket.once('close', () => !isOver && closed++)
      else reused++
      answered++
      await sleep(20)
    }
  }
  // Requests of which half has been sent when the certificate changes.
  const halves = Array.from({ length: 3 }, () => beginLogin(to, String(platform.env.IBMCLOUD_API_KEY)))
  const kept = agents.map((agent) => keep(agent).catch((error: Error) => void failures.push(error.message)))
  const plain = (async () => {
    while (!isOver) {
      const status = await statusOf(`${platform.env.IAM_IDENTITY_URL}/identity/keys`)
      if (status !== 200) failures.push(`API port: ${status}`)
      await sleep(20)
    }
  })()
  await eventually('new handshakes see another certificate', async () => (await fingerprint()) !== old, 60_000)
  const answeredBefore = answered
  await eventually('requests go on over the old connections', () => answered > answeredBefore + 5 * CONNECTIONS)
  for (const half of halves) assert.equal(await half.finish(), 200)
  isOver = true
  await Promise.all([...kept, plain])
  for (const agent of agents) agent.destroy()
  assert.deepEqual(failures, [])
  assert.equal(closed, 0, `${closed} of ${CONNECTIONS} connections were closed`)
  assert.ok(reused >= answered - CONNECTIONS, `${reused} of ${answered} requests over a kept connection`)
})

/** The certificate that is shown for the platform's own names. */
function shownBy(port: number): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername: HOST, rejectUnauthorized: false }, () => {
      resolve(new X509Certificate(socket.getPeerCertificate().raw))
      socket.destroy()
    })
    socket.once('error', reject)
  })
}

function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase()
}

function ask(options: RequestOptions) {
  return new Promise<{ status: number | undefined; socket: NodeJS.EventEmitter }>((resolve, reject) => {
    const outgoing = request(options, (response) => {
      const { socket } = response
      response
        .resume()
        .once('end', () => resolve({ status: response.statusCode, socket }))
        .once('error', reject)
    })
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in time')))
    outgoing.once('error', reject).end()
  })
}

function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    plainRequest(url, (response) => response.resume().once('end', () => resolve(response.statusCode)))
      .once('error', reject)
      .end()
  })
}

/** A login whose second half is sent by `finish`; its status. */
function beginLogin(to: RequestOptions, apikey: string): { finish(): Promise<number | undefined> } {
  const body = new URLSearchParams({ grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey }).toString()
  const headers = { host: HOST, 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(body.length) }
  const outgoing = request({ ...to, agent: false, method: 'POST', path: '/identity/token', headers })
  const status = new Promise<number | undefined>((resolve, reject) => {
    outgoing.once('response', (response) => response.resume().once('end', () => resolve(response.statusCode)))
    outgoing.once('error', reject)
  })
  status.catch(() => {})
  outgoing.write(body.slice(0, 40))
  return {
    finish() {
      outgoing.end(body.slice(40))
      return status
    },
  }
}
