import { createGuardedHttp, systemLookup } from '@everleaf/event-notifications'
import type { ConnectTarget, Http } from '@everleaf/world'
import type { PortsFile } from '../ports.ts'

/** The client that deliveries leave by: the platform's own names lead to the edge, everything else through the guarded dialler. */
export function outgoing(options: { ports: PortsFile; domain: string; region: string; ca: string }): Http {
  const { domain, region, ports } = options
  const appSuffixes = [`.${region}.codeengine.appdomain.cloud`, `.${region}.secrets-manager.appdomain.cloud`]
  const own = (host: string): ConnectTarget | undefined => {
    if (host !== domain && !host.endsWith(`.${domain}`) && !appSuffixes.some((suffix) => host.endsWith(suffix))) return undefined
    return { address: '127.0.0.1', port: host.includes('.private.') ? ports.private : ports.public }
  }
  return createGuardedHttp({ lookup: systemLookup, own, ca: [options.ca], allowPrivate: [] })
}
