// A small site: it speaks plain HTTP; TLS is the platform's business.
import { createServer } from 'node:http'

const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' })
  response.end(`Hello from ${process.env.K_REVISION ?? 'the site'}. You asked for ${request.headers.host}${request.url}.\n`)
})
server.listen(Number(process.env.PORT ?? 8080))
process.on('SIGTERM', () => server.close(() => process.exit(0)))
