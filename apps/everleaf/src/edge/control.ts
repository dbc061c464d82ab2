import { rmSync } from 'node:fs'
import type { Server } from 'node:http'

// Not by import: see packages/world/src/http.ts.
const { createServer } = process.getBuiltinModule('node:http')

/** The socket by which other commands of the same user ask the platform how it is. Whoever opens it holds the home. */
export async function openControl(options: { socketPath: string; status: () => Promise<unknown>; stop: () => void }): Promise<Server> {
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
