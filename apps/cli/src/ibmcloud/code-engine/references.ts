import { path } from '@everleaf/clients'
import { orMissing } from '../../ensure.ts'
import type { Context } from '../context.ts'
import type { Given } from '../grammar.ts'
import { Failed } from '../wrong-use.ts'
import { namedIn } from './run-settings.ts'
import { inProject, V2 } from './scope.ts'

/**
 * What reads from a secret or config map that is not there waits until it is: as in IBM's command line that is refused, unless `--force` says that
 * it comes later. Throws Failed.
 */
export async function requireReferences(context: Context, given: Given): Promise<void> {
  if (given.is('force')) return
  const { secrets, configMaps } = namedIn(given)
  const isThere = async (at: string) => (await orMissing(context.api(V2).get(inProject(context, at)))) !== undefined
  const [first, ...others] = [
    ...(await Promise.all(secrets.map(async (name) => ((await isThere(path`/secrets/${name}`)) ? [] : [{ noun: 'secret', name }])))),
    ...(await Promise.all(configMaps.map(async (name) => ((await isThere(path`/config_maps/${name}`)) ? [] : [{ noun: 'configmap', name }])))),
  ].flat()
  if (first === undefined) return
  const missing = [first, ...others].map(({ noun, name }) => `no ${noun} ${name}`).join(' and ')
  throw new Failed(
    `There is ${missing} in this project: what reads from it would wait for it.\nMake it first, with: ibmcloud ce ${first.noun} create --name ${first.name} --from-literal KEY=@FILE\nOr say with --force (-f) that it comes later.`,
  )
}
