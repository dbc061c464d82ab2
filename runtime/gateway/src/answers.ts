import type { ServerResponse } from 'node:http'
import type { World } from '@everleaf/world'

// Not by import: see packages/world/src/http.ts.
const { STATUS_CODES } = process.getBuiltinModule('node:http')

/** An answer of the gateway's own. `close` ends the connection: after any doubt about where a request ends. */
export type Answer = {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly headers?: readonly string[]
  readonly close?: boolean
}

/** The error form of api/code-engine.md §1.7; the SDK cores of all services read `errors[0].message`. */
export function bodyOf(answer: Answer, traceId: string): string {
  return JSON.stringify({ errors: [{ code: answer.code, message: answer.message }], trace: traceId, status_code: answer.status })
}

export function sendAnswer(response: ServerResponse, answer: Answer, world: World): void {
  if (response.headersSent) return void response.destroy()
  const trace = world.id().replaceAll('-', '')
  const body = bodyOf(answer, `codeengine-api-${trace}`)
  response.writeHead(answer.status, [
    ...['Content-Type', 'application/json; charset=utf-8', 'Content-Length', String(Buffer.byteLength(body)), 'Cache-Control', 'no-store'],
    ...(answer.headers ?? []),
    ...(answer.close ? ['Connection', 'close'] : []),
  ])
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

/** The bytes of an answer to what never became a request. */
export function rawAnswer(status: number): string {
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`
}
