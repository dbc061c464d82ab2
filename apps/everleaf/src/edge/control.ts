import { rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { WrongMachine } from '../home.ts'

// Not by import: see packages/world/src/http.ts.
const { createServer, request } = process.getBuiltinModule('node:http')

/** The socket by which other commands of the same user ask the platform how it is, and by which a second platform finds the first. */
export async function openControl(options: { socketPath: string; status: () => Promise<unknown>; stop: () => void }): Promise<Server> {
  if (await answers(options.socketPath))
    throw new WrongMachine('A platform is running on this EVERLEAF_HOME already.\nStop it first, or set EVERLEAF_HOME to another folder.')
  rmSync(options.socketPath, { force: true })
  const server = createServer((incoming, reply) => {
    const send = (status: number, body: unknown) => reply.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (incoming.method === 'GET' && incoming.url === '/status')
      options.status().then(
        (body) => send(200, body),
        (error) => send(500, { error: String(error) }),
      )
    else if (incoming.method === 'POST' && incoming.url === '/stop') {
      send(202, {})
      options.stop()
    } else send(404, { error: 'not found' })
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(options.socketPath, resolve))
  server.unref()
  return server
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const outgoing = request({ socketPath, path: '/status', timeout: 2_000 }, (response) => {
      response.resume()
      resolve(true)
    })
    outgoing.on('timeout', () => outgoing.destroy())
    outgoing.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ENOENT' && error.code !== 'ECONNREFUSED'))
    outgoing.end()
  })
}
