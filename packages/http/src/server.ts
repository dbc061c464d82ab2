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
    genReqId: () => world.id(),
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    // An address that cannot be decoded belongs to no service, so no dialect answers it.
    frameworkErrors: (_error, _request, reply) =>
      void refuse(reply, 400, 'bad_request', 'The address of this request cannot be read. Check how its path is encoded.'),
  })
  app.setNotFoundHandler((_request, reply) => refuse(reply, 404, 'not_found', 'No service of this platform answers at this path.'))
  return app
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
