import { gzipSync } from 'node:zlib'
import { packTar } from 'modern-tar'
import type { Bundle } from './certificates.ts'
import { eventually, everleaf, type Running } from './platform.ts'

type Files = Readonly<Record<string, string>>

function projectOf(platform: Running) {
  const project = `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
  const must = async (method: string, path: string, sent?: unknown) => {
    const { status, text, body } = await platform.api(method, `${project}${path}`, sent)
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`)
    return body
  }
  return { project, must }
}

/** Builds an image from files by a build of that name; resolves when it is there. */
export async function buildImage(platform: Running, name: string, { files, image }: { files: Files; image: string }): Promise<void> {
  const { project, must } = projectOf(platform)
  const entries = Object.entries(files).map(([path, body]) => ({
    header: { name: path, size: Buffer.byteLength(body), mode: 0o644, type: 'file' as const },
    body: Buffer.from(body),
  }))
  await must('POST', '/builds', { name, source_type: 'local', strategy_type: 'buildpacks', output_image: image, output_secret: 'none' })
  const archive = gzipSync(await packTar(entries))
  const sent = await fetch(`${project}/builds/${name}/source`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${await platform.token()}`, 'content-type': 'application/gzip' },
    body: archive,
  })
  if (!sent.ok) throw new Error(`${name}: source ${sent.status} ${await sent.text()}`)
  const run = await must('POST', '/build_runs', { build_name: name })
  await eventually(`the build of ${name}`, async () => {
    const { status, status_details: details } = await must('GET', `/build_runs/${run.name}`)
    if (status === 'failed') throw new Error(`the build of ${name} failed: ${JSON.stringify(details)}`)
    return status === 'succeeded'
  })
}

/** Builds and starts an app from files; resolves with its endpoint when it is ready. */
export async function deploy(platform: Running, name: string, files: Files, settings: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const { must } = projectOf(platform)
  await buildImage(platform, name, { files, image: `private/${name}` })
  await must('POST', '/apps', { name, image_reference: `private/${name}`, ...settings })
  return await eventually(`the app ${name}`, async () => {
    const app = await must('GET', `/apps/${name}`)
    if (app.status === 'failed') throw new Error(`the app ${name} failed: ${JSON.stringify(app.status_details)}`)
    return app.status === 'ready' && String(app.endpoint)
  })
}

/** Source of a small web app; `body` is the inside of its request handler. */
export function webApp(body: string): Record<string, string> {
  return {
    'server.js': `const http = require('http');\nhttp.createServer((request, response) => {\n${body}\n}).listen(process.env.PORT);\nprocess.on('SIGTERM', () => process.exit(0));\n`,
  }
}

/** The members by which Secrets Manager takes a bundle. */
export const material = ({ certificate, intermediate, privateKey }: Bundle) => ({ certificate, intermediate, private_key: privateKey })

/** A running app whose host is kept fresh from a secret, all named `name` but the app, which is `shop`. Gives the secret's id. */
export async function renewedShop(platform: Running, { name, host, first }: { name: string; host: string; first: Bundle }): Promise<string> {
  await deploy(platform, 'shop', webApp(`response.end('shop')`), { scale_min_instances: 1 })
  const url = `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`
  const { body } = await platform.api('POST', url, { secret_type: 'imported_cert', name, ...material(first) })
  const created = await everleaf(['renew', 'create', name, '--host', host, '--secret', name, '--app', 'shop'], platform)
  if (created.status !== 0) throw new Error(created.stderr)
  return String(body.id)
}
