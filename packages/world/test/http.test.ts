import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, createServer as createRawServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { createNodeHttp, type Http } from '../src/index.ts'
import { createPlainHttp } from '../src/plain.ts'
import { createUndiciHttp } from '../src/undici.ts'

const folder = mkdtempSync(join(tmpdir(), 'everleaf-http-'))
const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })]
after(async () => {
  for (const end of ends) await end()
})

function listen(server: Server | ReturnType<typeof createRawServer>): Promise<number> {
  ends.unshift(() => {
    if ('closeAllConnections' in server) server.closeAllConnections()
    server.close()
  })
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))
}
const serve = async (answer: RequestListener) => `http://127.0.0.1:${await listen(createServer(answer))}`
/** Answers every connection with these bytes and closes it. */
const serveRaw = async (bytes: string) =>
  `http://127.0.0.1:${await listen(createRawServer((socket) => void socket.on('error', () => {}).once('data', () => socket.end(bytes))))}`
const text = (body: Uint8Array) => Buffer.from(body).toString()

for (const [name, create] of [
  ['createNodeHttp()', () => createNodeHttp()],
  ['createPlainHttp()', () => createPlainHttp()],
  ['createUndiciHttp()', () => createUndiciHttp()],
] as const) {
  suite(name, () => {
    let http: Http
    before(() => void (http = create()))
    after(() => http.close())

    test('sends method, path, headers and body, and gives the whole answer', async () => {
      const origin = await serve((request, response) => {
        let body = ''
        request.on('data', (chunk) => (body += chunk))
        request.on('end', () =>
          response.writeHead(207, { 'x-a': ['1', '2'] }).end(JSON.stringify([request.method, request.url, request.headers['x-sent'], body])),
        )
      })
      const answer = await http.request({ method: 'PUT', url: `${origin}/p?q=1`, headers: { 'x-sent': 'yes' }, body: 'é' })
      assert.deepEqual([answer.status, answer.headers['x-a'], JSON.parse(text(answer.body))], [207, '1, 2', ['PUT', '/p?q=1', 'yes', 'é']])
    })

    test('follows no redirect', async () => {
      const origin = await serve((_request, response) => response.writeHead(302, { location: '/elsewhere' }).end())
      assert.equal((await http.request({ method: 'GET', url: origin })).status, 302)
    })

    for (const [what, stall] of [
      ['before its head', () => {}],
      [
        'in its body',
        (_request: unknown, response: { writeHead(status: number): { write(text: string): unknown } }) => void response.writeHead(200).write('some'),
      ],
    ] as const) {
      test(`gives up on an answer that stops ${what}`, async () => {
        const origin = await serve(stall as RequestListener)
        await assert.rejects(http.request({ method: 'GET', url: origin, timeoutMs: 80 }))
      })
    }

    test('ends with its caller', async () => {
      const origin = await serve(() => {})
      const abort = new AbortController()
      const asked = http.request({ method: 'GET', url: origin, signal: abort.signal })
      abort.abort(new Error('the caller went away'))
      await assert.rejects(asked)
    })

    for (const [what, bytes] of [
      ['by length', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart'],
      ['by chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n'],
      ['in its head', 'HTTP/1.1 200 OK\r\ncontent-le'],
      ['before its head', ''],
    ] as const) {
      test(`refuses an answer that is cut ${what}`, async () => {
        const origin = await serveRaw(bytes)
        await assert.rejects(http.request({ method: 'GET', url: origin, timeoutMs: 5_000 }))
      })
    }

    test('takes an answer of the limit, refuses one of a byte more, and never names the query', async () => {
      const origin = await serve((request, response) => response.end('x'.repeat(Number(request.url?.split('=')[1]))))
      assert.equal((await http.request({ method: 'GET', url: `${origin}/?secret=1000`, maxBytes: 1_000 })).body.length, 1_000)
      await assert.rejects(http.request({ method: 'GET', url: `${origin}/?secret=1001`, maxBytes: 1_000 }), (error: Error) => {
        assert.match(error.message, /larger than 1000 bytes/)
        assert.doesNotMatch(error.message, /secret/)
        return true
      })
    })

    test('rejects, and does not throw, where the URL is none', async () => {
      await assert.rejects(http.request({ method: 'GET', url: 'no url' }))
    })
  })
}

test('createNodeHttp() says what went wrong with the method and the address, without the query', async () => {
  const http = createNodeHttp()
  ends.unshift(() => http.close())
  const silent = await serve(() => {})
  const cut = await serveRaw('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart')
  const slow = await serve((_request, response) => void response.writeHead(200).write('some'))
  for (const [url, problem] of [
    [`${silent}/p?key=s3cret`, 'no complete answer in time'],
    [`${slow}/p?key=s3cret`, 'no complete answer in time'],
    [`${cut}/p?key=s3cret`, 'the answer was cut off'],
  ] as const)
    await assert.rejects(http.request({ method: 'GET', url, timeoutMs: 100 }), { message: `GET ${url.split('?')[0]}: ${problem}` })
})

test('createNodeHttp() goes where resolve says, by address and by socket, and keeps the host that was asked for', async () => {
  const answer: RequestListener = (request, response) => response.end(request.headers.host)
  const port = await listen(createServer(answer))
  const socketPath = join(folder, 'http.sock')
  const local = createServer(answer)
  await new Promise<void>((resolve) => local.listen(socketPath, resolve))
  ends.unshift(() => local.close())
  const asked: unknown[] = []
  const http = createNodeHttp({
    resolve: (host, port_) => {
      asked.push([host, port_])
      return host === 'local.test' ? { socketPath } : { address: '127.0.0.1', port }
    },
  })
  ends.unshift(() => http.close())
  assert.equal(text((await http.request({ method: 'GET', url: 'http://name.test:1234/' })).body), 'name.test:1234')
  assert.equal(text((await http.request({ method: 'GET', url: 'http://local.test/' })).body), 'local.test')
  assert.deepEqual(asked, [
    ['name.test', 1234],
    ['local.test', 80],
  ])
})

test('createNodeHttp() speaks TLS with the roots it was given, and with nobody else', async () => {
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const names = 'subjectAltName=DNS:secure.test,IP:127.0.0.1'
  const options = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=secure.test', '-addext', names]
  execFileSync('openssl', ['req', ...options, '-keyout', key, '-out', certificate], { stdio: 'ignore' })
  const ca = [readFileSync(certificate, 'utf8')]
  const server = createSecureServer({ key: readFileSync(key), cert: ca }, (request, response) => response.end(request.headers.host))
  const port = await listen(server as unknown as Server)
  const resolve = () => ({ address: '127.0.0.1', port })
  const [trusting, doubting] = [createNodeHttp({ ca, resolve }), createNodeHttp({ resolve })]
  ends.unshift(() => trusting.close())
  ends.unshift(() => doubting.close())
  assert.equal(text((await trusting.request({ method: 'GET', url: 'https://secure.test/' })).body), 'secure.test')
  assert.equal(text((await trusting.request({ method: 'GET', url: `https://127.0.0.1:${port}/` })).body), `127.0.0.1:${port}`)
  await assert.rejects(doubting.request({ method: 'GET', url: 'https://secure.test/' }), /self-signed/)
  await assert.rejects(trusting.request({ method: 'GET', url: 'https://other.test/' }), /altnames|Hostname/)
})

test('createNodeHttp() speaks http and https only', async () => {
  const http = createNodeHttp()
  await assert.rejects(http.request({ method: 'GET', url: 'file:///etc/passwd' }), /only http and https/)
  http.close()
})
