import { createHash } from 'node:crypto'
import type { CeApp } from '@everleaf/clients'
import { ensure, orMissing, until } from './ensure.ts'
import type { Session } from './session.ts'

/** What an app is made of: a folder that is built, an image, or one file of code that an image with its language runs. */
export type From = { readonly archive: Uint8Array } | { readonly image: string } | { readonly code: string; readonly image: string }
type App = { readonly name: string; readonly from: From; readonly settings: Readonly<Record<string, unknown>> }
type Project = Pick<Session, 'codeEngine' | 'project' | 'world'>

/** Names the source and settings that an app runs: the same deployment twice does nothing the second time. */
export const DEPLOYMENT = 'EVERLEAF_DEPLOYMENT'

/** Which deployment an app runs; undefined for one that was not deployed here. */
export function deploymentIn(app: CeApp): string | undefined {
  return app.run_env_variables?.find(({ name }) => name === DEPLOYMENT)?.value
}

/** Names a deployment by all that it is made of. */
export function digestOf({ from, settings }: Pick<App, 'from' | 'settings'>): string {
  const source = 'archive' in from ? [from.archive] : 'code' in from ? [from.code, from.image] : [from.image]
  const hash = createHash('sha256')
  for (const part of [...source, JSON.stringify(settings)]) hash.update(part)
  return hash.digest('hex')
}

/** Builds a folder from local source, where there is no image, and makes or updates the app that runs it; resolves when it is ready. */
export async function deployApp(place: Project, app: App): Promise<void> {
  const { codeEngine, project } = place
  const known = await orMissing(codeEngine.getApp(project, app.name))
  const deployment = digestOf(app)
  if (known?.status === 'ready' && deploymentIn(known) === deployment) return
  const image = 'archive' in app.from ? await buildImage(place, { name: app.name, archive: app.from.archive }) : app.from.image
  const variables = Array.isArray(app.settings.run_env_variables) ? app.settings.run_env_variables : []
  const settings = { ...app.settings, image_reference: image, run_env_variables: [...variables, { type: 'literal', name: DEPLOYMENT, value: deployment }] }
  if (known === undefined) await codeEngine.createApp(project, { name: app.name, ...settings })
  else await codeEngine.updateApp(project, app.name, { json: settings, ifMatch: '*' })
  const ready = await until(place, {
    what: `the app ${app.name}`,
    limitMs: 120_000,
    ask: () => codeEngine.getApp(project, app.name),
    isDone: ({ status, status_details: details }) =>
      status !== 'deploying' && (status !== 'ready' || details?.latest_ready_revision === details?.latest_created_revision),
  })
  if (ready.status !== 'ready')
    throw new Error(
      `the app ${app.name} is ${ready.status}: ${ready.status_details?.reason ?? 'no reason given'}. See what it wrote: ibmcloud ce app logs -n ${app.name}`,
    )
}

/** A build that takes its source from this machine. */
export async function ensureBuild({ codeEngine, project }: Pick<Project, 'codeEngine' | 'project'>, name: string): Promise<void> {
  await ensure(
    () => codeEngine.getBuild(project, name),
    () => codeEngine.createBuild(project, { name, source_type: 'local', strategy_type: 'buildpacks', output_image: imageOf(name), output_secret: 'none' }),
  )
}

function imageOf(name: string): string {
  return `private.everleaf/${name}`
}

async function buildImage(place: Project, { name, archive }: { name: string; archive: Uint8Array }): Promise<string> {
  const { codeEngine, project } = place
  await ensureBuild(place, name)
  await codeEngine.uploadBuildSource(project, name, archive)
  const run = await codeEngine.createBuildRun(project, { build_name: name })
  const built = await until(place, {
    what: `the build of ${name}`,
    limitMs: 120_000,
    ask: () => codeEngine.getBuildRun(project, run.name),
    isDone: ({ status }) => status === 'succeeded' || status === 'failed',
  })
  if (built.status === 'failed') throw new Error(`the build of ${name} failed: ${built.status_details?.reason ?? 'no reason given'}`)
  return imageOf(name)
}
