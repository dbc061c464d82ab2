import { createGuardedHttp, type GuardedHttp } from '@everleaf/event-notifications'
import type { ConnectTarget } from '@everleaf/world'
import { systemLookup } from '@everleaf/world/addresses'
import type { PortsFile } from '../ports.ts'
import { apiHosts } from './names.ts'

/** The client that deliveries leave by: the platform's own names lead to the edge, everything else through the guarded dialler. */
export function outgoing(options: { ports: PortsFile; domain: string; region: string; ca: string }): GuardedHttp {
  const { domain, region, ports } = options
  const apis = new Set(apiHosts({ domain, region }).map(({ host }) => host))
  const apiSuffixes = [`.secrets-manager.${domain}`, '.secrets-manager.appdomain.cloud', '.cloud.ibm.com']
  const appDomains = [domain, `${region}.codeengine.appdomain.cloud`]
  const own = (host: string): ConnectTarget | undefined => {
    // A tenant's URL leads to apps; the platform's services are reached by nobody's URL (T40), nor are IBM's in their place.
    if (apis.has(host) || apiSuffixes.some((suffix) => host.endsWith(suffix))) throw new Error(`${host} is an API, which destinations may not call`)
    if (!appDomains.some((name) => host === name || host.endsWith(`.${name}`))) return undefined
    return { address: '127.0.0.1', port: host.includes('.private.') ? ports.private : ports.public }
  }
  return createGuardedHttp({ lookup: systemLookup, own, ca: [options.ca], allowPrivate: [] })
}
