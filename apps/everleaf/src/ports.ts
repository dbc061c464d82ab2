import { readFileSync } from 'node:fs'

/** What `run/ports.json` says: how every other command finds the platform. */
export type PortsFile = {
  readonly pid: number
  readonly listen: string
  readonly public: number
  readonly private: number
  readonly front: number
  readonly api: number
  /** The platform's own address where its port 443 could be had; null: IBM's fixed names do not work in instances. */
  readonly fixedNames: string | null
  /** The same of port 80, where instances have a hosts file; null: they do not reach the apps of their project by the cluster's names. */
  readonly clusterNames: string | null
  readonly domain: string
  readonly region: string
}

type Ports = Pick<PortsFile, 'public' | 'private' | 'front' | 'api'>

/** The ports to open: where any will do (0), that of the last run, so that addresses which were handed out stay good. */
export function portsToOpen(wanted: Ports, lastPortsFile: string): Ports {
  const last = readPorts(lastPortsFile)
  const one = (name: keyof Ports) => wanted[name] || last[name] || 0
  return { public: one('public'), private: one('private'), front: one('front'), api: one('api') }
}

function readPorts(file: string): Partial<Ports> {
  try {
    const read = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
    return Object.fromEntries(Object.entries(read).filter(([, port]) => Number.isInteger(port) && Number(port) > 0 && Number(port) < 65_536))
  } catch {
    return {} // the first run, or a file that says nothing: any port will do
  }
}
