import type { World } from '@everleaf/world'
import fastify, { type FastifyInstance } from 'fastify'

/** The HTTP server that services are mounted on. Its request ids are the trace ids of replies. */
export function createServer(world: Pick<World, 'id'>): FastifyInstance {
  const app = fastify({
    logger: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1_024, caseSensitive: true },
    bodyLimit: Number.MAX_SAFE_INTEGER,
    genReqId: () => world.id(),
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
  })
  app.setNotFoundHandler((_request, reply) =>
    reply
      .code(404)
      .header('content-type', 'application/json; charset=utf-8')
      .send(JSON.stringify({ errors: [{ code: 'not_found', message: 'No service of this platform answers at this path.' }], status_code: 404 })),
  )
  return app
}
