import { gzipSync } from 'node:zlib'
import { packTar } from 'modern-tar'
import { eventually, type Running } from './platform.ts'

export type Details = {
  readonly requested: number
  readonly pending: number
  readonly running: number
  readonly succeeded: number
  readonly failed: number
  readonly succeeded_indices?: string
  readonly failed_indices?: string
  readonly running_indices?: string
  readonly pending_indices?: string
  readonly start_time?: string
  readonly completion_time?: string
  readonly message?: string
  readonly indices_details: Readonly<
    Record<string, { status: string; retries: number; last_failure_reason?: string; started_at?: string; finished_at?: string }>
  >
}
export type Run = { readonly name: string; readonly status: string; readonly status_details: Details } & Readonly<Record<string, unknown>>
export type Line = { readonly timestamp: string; readonly instance: string; readonly index?: number; readonly stream: string; readonly message: string }

/** Jobs of the platform's project over its public API. */
export function jobsOf(platform: Running) {
  const project = `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
  const must = async (what: Promise<{ status: number; text: string; body: Record<string, unknown> }>) => {
    const { status, text, body } = await what
    if (status >= 300) throw new Error(`${status} ${text}`)
    return body
  }
  const get = async (name: string) => (await must(platform.api('GET', `${project}/job_runs/${name}`))) as Run
  const logUrl = (name: string, query = '') => `${project}/everleaf/logs?component_type=job_run&name=${name}${query}`
  return {
    project,
    /** Builds an image from files; resolves with its reference. */
    async image(name: string, files: Readonly<Record<string, string>>): Promise<string> {
      const reference = `private/${name}`
      const entries = Object.entries(files).map(([path, body]) => ({
        header: { name: path, size: Buffer.byteLength(body), mode: 0o644, type: 'file' as const },
        body: Buffer.from(body),
      }))
      const build = { name, source_type: 'local', strategy_type: 'buildpacks', output_image: reference, output_secret: 'none' }
      await must(platform.api('POST', `${project}/builds`, build))
      const sent = await fetch(`${project}/builds/${name}/source`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${await platform.token()}`, 'content-type': 'application/gzip' },
        body: gzipSync(await packTar(entries)),
      })
      if (!sent.ok) throw new Error(`${name}: source ${sent.status} ${await sent.text()}`)
      const run = await must(platform.api('POST', `${project}/build_runs`, { build_name: name }))
      await eventually(`the build of ${name}`, async () => {
        const { status, status_details: details } = await must(platform.api('GET', `${project}/build_runs/${run.name}`))
        if (status === 'failed') throw new Error(`the build of ${name} failed: ${JSON.stringify(details)}`)
        return status === 'succeeded'
      })
      return reference
    },
    create: async (body: Readonly<Record<string, unknown>>) => await must(platform.api('POST', `${project}/jobs`, body)),
    submit: async (body: Readonly<Record<string, unknown>>) => (await must(platform.api('POST', `${project}/job_runs`, body))) as Run,
    get,
    remove: async (name: string) => await must(platform.api('DELETE', `${project}/job_runs/${name}`)),
    /** The run once it is over. */
    over: async (name: string, limitMs = 60_000) =>
      await eventually(
        `the run ${name}`,
        async () => {
          const run = await get(name)
          return (run.status === 'completed' || run.status === 'failed') && run
        },
        limitMs,
      ),
    async logs(name: string, query = ''): Promise<Line[]> {
      const reply = await fetch(logUrl(name, query), { headers: { authorization: `Bearer ${await platform.token()}` } })
      if (!reply.ok) throw new Error(`${reply.status} ${await reply.text()}`)
      return linesOf(await reply.text())
    },
    logUrl,
  }
}

export function linesOf(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
}
