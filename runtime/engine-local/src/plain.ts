import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { InstanceSpec } from '@everleaf/engine'
import type { Places } from './environment.ts'
import type { ToHelper } from './protocol.ts'

/** The private folder of an instance that runs as a plain process. */
export function plainDirectory(directory: string, name: string): string {
  return join(directory, 'instances', name)
}

export function plainPlaces(input: { directory: string; spec: InstanceSpec; node: string; cache: string }): Places {
  const own = plainDirectory(input.directory, input.spec.name)
  return {
    home: join(own, 'home'),
    work: input.spec.image,
    temp: join(own, 'tmp'),
    node: dirname(input.node),
    trust: join(input.directory, 'trust'),
    cache: join(input.directory, 'cache', input.cache),
    tokenFile: input.spec.token === undefined ? undefined : join(own, 'token', 'token'),
  }
}

/**
 * How a plain process is started: without mounts, so programs are told where things are. `EVERLEAF_MOUNTS` is a JSON object from each mount
 * path to the folder that stands for it.
 */
export function plainStart(input: {
  directory: string
  spec: InstanceSpec
  command: readonly string[]
  env: Readonly<Record<string, string>>
  places: Places
}): Extract<ToHelper, { type: 'start' }> {
  const { spec, places } = input
  const [program = 'node', ...args] = input.command
  const own = (path: string) => ({ path, mode: 0o700, uid: undefined })
  const token = join(plainDirectory(input.directory, spec.name), 'token')
  // The kernel ends it with the helper where util-linux is at hand; elsewhere the helper does.
  const withHelper = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--no-new-privs', '--', program] : [program]
  const [file = program, ...before] = withHelper
  const mounts = Object.fromEntries(spec.mounts.map(({ path, directory }) => [path, directory]))
  return {
    type: 'start',
    id: spec.name,
    directories: [own(plainDirectory(input.directory, spec.name)), own(places.home), own(places.temp), own(places.cache), own(token)],
    files: spec.token ? [{ path: join(token, 'token'), mode: 0o400, uid: undefined, text: spec.token }] : [],
    file,
    args: [...before, ...args],
    env: { ...input.env, EVERLEAF_MOUNTS: JSON.stringify(mounts) },
    cwd: spec.image,
    memoryBytes: spec.memoryBytes,
  }
}
