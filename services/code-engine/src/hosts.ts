import type { ProjectRow, Settings } from './service.ts'

export type Visibility = 'public' | 'private' | 'project'
type Place = Pick<Settings, 'region' | 'domain'>
type Named = Pick<ProjectRow, 'subdomain'>

export const VISIBILITY = { local_public: 'public', local_private: 'private', local: 'project' } as const satisfies Record<string, Visibility>

/**
 * The hosts of an app: | visibility | public listener | private listener | inside of its project |
 * | public | own and IBM's name | private names | the cluster's name |  | private, project | none | private names | the cluster's name |
 * `own` stands first: addresses that are handed out use it.
 */
export function appHosts(
  app: string,
  project: Named,
  { visibility, place }: { visibility: Visibility; place: Place },
): { host: string; listener: 'any' | 'private' | 'project' }[] {
  const { region, domain } = place
  const local = ['private', `private.${region}`] as const
  const inside = [`${app}.${project.subdomain}.${local[0]}.${domain}`, `${app}.${project.subdomain}.${local[1]}.codeengine.appdomain.cloud`]
  const outside = [`${app}.${project.subdomain}.${domain}`, `${app}.${project.subdomain}.${region}.codeengine.appdomain.cloud`]
  return [
    ...(visibility === 'public' ? outside.map((host) => ({ host, listener: 'any' as const })) : []),
    ...inside.map((host) => ({ host, listener: 'private' as const })),
    { host: clusterHost(app, project), listener: 'project' },
  ]
}

/** The name by which instances of a project reach its apps in plain HTTP, as inside of IBM's cluster. */
function clusterHost(app: string, { subdomain }: Named): string {
  return `${app}.${subdomain}.svc.cluster.local`
}

/** The names of a project's own certificate: a wildcard for each suffix that its apps have. */
export function certificateNames(project: Named, place: Place): string[] {
  return appHosts('*', project, { visibility: 'public', place }).flatMap(({ host, listener }) => (listener === 'project' ? [] : [host]))
}

/** Addresses that an app's replies and variables hand out: Everleaf's own names with the true port, and the cluster's where it is answered. */
export function appEndpoints(
  app: string,
  project: Named,
  { visibility, settings }: { visibility: Visibility; settings: Settings },
): { endpoint: string; internal: string } {
  const base = `${app}.${project.subdomain}`
  const hidden = origin(`${base}.private.${settings.domain}`, settings.privatePort())
  const internal = settings.answersClusterNames?.() === true ? `http://${clusterHost(app, project)}` : hidden
  if (visibility === 'project') return { endpoint: '', internal }
  return { endpoint: visibility === 'public' ? origin(`${base}.${settings.domain}`, settings.publicPort()) : hidden, internal }
}

/** Hosts that no user may map: the platform's own, and those of IBM and of a cluster that it answers for. */
export function isReserved(host: string, domain: string): boolean {
  return [domain, 'cloud.ibm.com', 'appdomain.cloud', 'svc.cluster.local', 'svc', 'kubernetes.default', 'localhost'].some(
    (known) => host === known || host.endsWith(`.${known}`),
  )
}

function origin(host: string, port: number): string {
  return port === 443 ? `https://${host}` : `https://${host}:${port}`
}
