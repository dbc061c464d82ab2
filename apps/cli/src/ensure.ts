import { ApiFailure } from '@everleaf/clients'
import type { Session } from './session.ts'

/** Resolves with what `get` gives, or with what `make` makes where it is not there yet. */
export async function ensure<T>(get: () => Promise<T | undefined>, make: () => Promise<T>): Promise<T> {
  return (await orMissing(get())) ?? (await make())
}

/** undefined instead of a 404. */
export async function orMissing<T>(found: Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await found
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 404) return undefined
    throw error
  }
}

const POLL_MS = 15

/** Asks again until `isDone`; throws with `what` after `limitMs`. */
export async function until<T>(
  session: Pick<Session, 'world'>,
  options: { what: string; limitMs: number; ask: () => Promise<T>; isDone: (answer: T) => boolean },
): Promise<T> {
  const endsAt = session.world.monotonicMs() + options.limitMs
  for (;;) {
    const answer = await options.ask()
    if (options.isDone(answer)) return answer
    if (session.world.monotonicMs() > endsAt) throw new Error(`${options.what}: not there after ${Math.round(options.limitMs / 1_000)} s`)
    await session.world.sleep(POLL_MS)
  }
}

type App = { readonly name: string; readonly archive: Uint8Array; readonly settings: Readonly<Record<string, unknown>> }

/** Names the source and settings that an app runs: the same deployment twice does nothing the second time. */
const DEPLOYMENT = 'EVERLEAF_DEPLOYMENT'

/** Builds a folder from local source and makes or updates the app that runs it; resolves when it is ready. */
export async function deployApp(session: Session, app: App): Promise<void> {
  const { codeEngine, project } = session
  const known = await orMissing(codeEngine.getApp(project, app.name))
  const { createHash } = process.getBuiltinModule('node:crypto')
  const deployment = createHash('sha256').update(app.archive).update(JSON.stringify(app.settings)).digest('hex')
  if (known?.status === 'ready' && known.run_env_variables?.some(({ name, value }) => name === DEPLOYMENT && value === deployment)) return
  const image = await buildImage(session, app)
  const variables = Array.isArray(app.settings.run_env_variables) ? app.settings.run_env_variables : []
  const settings = { ...app.settings, image_reference: image, run_env_variables: [...variables, { type: 'literal', name: DEPLOYMENT, value: deployment }] }
  if (known === undefined) await codeEngine.createApp(project, { name: app.name, ...settings })
  else await codeEngine.updateApp(project, app.name, { json: settings, ifMatch: '*' })
  const ready = await until(session, {
    what: `the app ${app.name}`,
    limitMs: 60_000,
    ask: () => codeEngine.getApp(project, app.name),
    isDone: ({ status, status_details: details }) =>
      status !== 'deploying' && (status !== 'ready' || details?.latest_ready_revision === details?.latest_created_revision),
  })
  if (ready.status !== 'ready')
    throw new Error(
      `the app ${app.name} is ${ready.status}: ${ready.status_details?.reason ?? 'no reason given'}. See what it wrote below data/logs of the home.`,
    )
}

async function buildImage(session: Session, app: App): Promise<string> {
  const { codeEngine, project } = session
  const image = `private.everleaf/${app.name}`
  await ensure(
    () => codeEngine.getBuild(project, app.name),
    () => codeEngine.createBuild(project, { name: app.name, source_type: 'local', strategy_type: 'buildpacks', output_image: image, output_secret: 'none' }),
  )
  await codeEngine.uploadBuildSource(project, app.name, app.archive)
  const run = await codeEngine.createBuildRun(project, { build_name: app.name })
  const built = await until(session, {
    what: `the build of ${app.name}`,
    limitMs: 120_000,
    ask: () => codeEngine.getBuildRun(project, run.name),
    isDone: ({ status }) => status === 'succeeded' || status === 'failed',
  })
  if (built.status === 'failed') throw new Error(`the build of ${app.name} failed: ${built.status_details?.reason ?? 'no reason given'}`)
  return image
}
