import type { ProjectRow, Settings } from './service.ts'

export type Visibility = 'public' | 'private' | 'project'
type Place = Pick<Settings, 'region' | 'domain'>
type Named = Pick<ProjectRow, 'subdomain'>

export const VISIBILITY = { local_public: 'public', local_private: 'private', local: 'project' } as const satisfies Record<string, Visibility>

/**
 * The hosts of an app: | visibility | public listener | private listener |
 * | public | own and IBM's name | private names |  | private, project | none | private names |
 * `own` stands first: addresses that are handed out use it.
 */
export function appHosts(
  app: string,
  project: Named,
  { visibility, place }: { visibility: Visibility; place: Place },
): { host: string; listener: 'any' | 'private' }[] {
  const { region, domain } = place
  const local = ['private', `private.${region}`] as const
  const inside = [`${app}.${project.subdomain}.${local[0]}.${domain}`, `${app}.${project.subdomain}.${local[1]}.codeengine.appdomain.cloud`]
  const outside = [`${app}.${project.subdomain}.${domain}`, `${app}.${project.subdomain}.${region}.codeengine.appdomain.cloud`]
  return [
    ...(visibility === 'public' ? outside.map((host) => ({ host, listener: 'any' as const })) : []),
    ...inside.map((host) => ({ host, listener: 'private' as const })),
  ]
}

/** The names of a project's own certificate: a wildcard for each suffix that its apps have. */
export function certificateNames(project: Named, place: Place): string[] {
  return appHosts('*', project, { visibility: 'public', place }).map(({ host }) => host)
}

/** Addresses that an app's replies and variables hand out: Everleaf's own names with the true port. */
export function appEndpoints(
  app: string,
  project: Named,
  { visibility, settings }: { visibility: Visibility; settings: Settings },
): { endpoint: string; internal: string } {
  const base = `${app}.${project.subdomain}`
  const internal = origin(`${base}.private.${settings.domain}`, settings.privatePort())
  if (visibility === 'project') return { endpoint: '', internal }
  return { endpoint: visibility === 'public' ? origin(`${base}.${settings.domain}`, settings.publicPort()) : internal, internal }
}

/** Hosts that no user may map: the platform's own, and those of IBM that it answers for. */
export function isReserved(host: string, domain: string): boolean {
  return [domain, 'cloud.ibm.com', 'appdomain.cloud', 'svc.cluster.local', 'localhost'].some((known) => host === known || host.endsWith(`.${known}`))
}

function origin(host: string, port: number): string {
  return port === 443 ? `https://${host}` : `https://${host}:${port}`
}
