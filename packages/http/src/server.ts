import type { World } from '@everleaf/world'
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'

/** How addresses are read: here, and in each service's table. */
export const ROUTER_OPTIONS = { ignoreTrailingSlash: true, maxParamLength: 1_024, caseSensitive: true } as const

/** The HTTP server that services are mounted on. Its request ids are the trace ids of replies. */
export function createServer(world: Pick<World, 'id'>): FastifyInstance {
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
    // An address that cannot be decoded belongs to no service, so no dialect answers it.
    frameworkErrors: (_error, _request, reply) =>
      void refuse(reply, 400, 'bad_request', 'The address of this request cannot be read. Check how its path is encoded.'),
  })
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
