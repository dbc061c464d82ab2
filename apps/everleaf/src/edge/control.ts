import { rmSync } from 'node:fs'
import type { IncomingMessage, Server } from 'node:http'

// Not by import: see packages/world/src/http.ts.
const { createServer } = process.getBuiltinModule('node:http')

const MAX_BODY_BYTES = 16 * 1024

/**
 * The socket by which other commands of the same user ask the platform how it is, and tell it what to do; `answers` by method and path, each told the JSON of the body, undefined without one.
 * Whoever opens it holds the home.
 */
export async function openControl(options: { socketPath: string; answers: Readonly<Record<string, (body: unknown) => unknown>> }): Promise<Server> {
  rmSync(options.socketPath, { force: true })
  const server = createServer(async (incoming, reply) => {
    const send = (status: number, body: unknown) => reply.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    const asked = `${incoming.method} ${incoming.url}`
    const answer = Object.hasOwn(options.answers, asked) ? options.answers[asked] : undefined
    if (answer === undefined) return void send(404, { error: 'not found' })
    try {
      send(200, (await answer(await bodyOf(incoming))) ?? {})
    } catch (error) {
      send(500, { error: error instanceof Error ? error.message : String(error) })
    }
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(options.socketPath, resolve))
  server.unref()
  return server
}

async function bodyOf(incoming: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of incoming.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk
    if (text.length > MAX_BODY_BYTES) throw new Error(`the question is longer than ${MAX_BODY_BYTES} characters`)
  }
  return text === '' ? undefined : JSON.parse(text)
}
