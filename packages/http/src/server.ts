import type { World } from '@everleaf/world'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'

/** How addresses are read: here, and in each service's table. */
export const ROUTER_OPTIONS = { ignoreTrailingSlash: true, maxParamLength: 1_024, caseSensitive: true } as const

export const UNREADABLE = 'The address of this request cannot be read. Check how its path is encoded.'

type Unreadable = (request: FastifyRequest, reply: FastifyReply) => unknown
const unreadables = new WeakMap<FastifyInstance, Map<string, Unreadable>>()

/** Who answers, in their dialect, addresses below the first part of `prefix` that cannot be decoded. */
export function answerUnreadable(app: FastifyInstance, prefix: string, answer: Unreadable): void {
  unreadables.get(app)?.set(beginning(prefix), answer)
}

const beginning = (path: string) => path.split(/[/?]/, 2)[1] ?? ''
const nobodys: Unreadable = (_request, reply) => refuse(reply, 400, 'bad_request', UNREADABLE)

/** The HTTP server that services are mounted on. Its request ids are the trace ids of replies. */
export function createServer(world: Pick<World, 'id'>): FastifyInstance {
  const unreadable = new Map<string, Unreadable>()
  const app = fastify({
    logger: false,
    // Nothing is checked or written by fastify's own schemas; without this it loads their compilers all the same.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    routerOptions: ROUTER_OPTIONS,
    bodyLimit: Number.MAX_SAFE_INTEGER,
    // The gateway lets 16 KiB through and adds headers of its own.
    http: { maxHeaderSize: 32 * 1024 },
    genReqId: ({ headers }) => gatewaysId(headers['x-request-id']) ?? world.id(),
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    // An address that cannot be decoded has no route; the service that its beginning names answers it all the same.
    frameworkErrors: (_error, request, reply) => void (unreadable.get(beginning(request.url)) ?? nobodys)(request, reply),
  })
  unreadables.set(app, unreadable)
  app.setNotFoundHandler((_request, reply) => refuse(reply, 404, 'not_found', 'No service of this platform answers at this path.'))
  return app
}

/** The gateway gives each request an id, in place of the caller's own, and answers with it: log, audit and error bodies name the same one. */
function gatewaysId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(header) ? header : undefined
}

function noSchemas(): never {
  throw new Error('shapes are checked by this room (checks.ts), not by fastify')
}

function refuse(reply: FastifyReply, status: number, code: string, message: string): FastifyReply {
  return reply
    .code(status)
    .header('content-type', 'application/json; charset=utf-8')
    .send(JSON.stringify({ errors: [{ code, message }], status_code: status }))
}
