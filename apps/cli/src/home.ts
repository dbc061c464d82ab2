import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** No platform, or this machine does not allow what was asked: the message says what to do. Exit status 3. */
export class NotHere extends Error {}

/** Wrong words on the command line. Exit status 2. */
export class WrongUse extends Error {}

/** What a running platform wrote for other commands (`run/ports.json`). */
export type Ports = {
  readonly pid: number
  readonly listen: string
  readonly public: number
  readonly private: number
  readonly front: number
  readonly api: number
  readonly fixedNames: string | null
  /** As `fixedNames`, for `http://<app>.<subdomain>.svc.cluster.local` in instances. */
  readonly clusterNames?: string | null
  readonly domain: string
  readonly region: string
}

/** What the first start wrote for the command line (`login.json`). */
export type Login = {
  readonly account: string
  readonly apikey: string
  readonly secretsManager: string
  readonly eventNotifications: string
  readonly project: string
}

export type Found = { readonly root: string; readonly ports: Ports; readonly login: Login; readonly caFile: string; readonly trustFile: string }

/** The running platform of this home. Throws NotHere. */
export function findPlatform(root: string): Found {
  const ports = readJson<Ports>(join(root, 'run', 'ports.json'))
  if (ports === undefined || !isAlive(ports.pid)) throw new NotHere(`No platform is running on ${root}.\nStart one with: everleaf up`)
  const login = readJson<Login>(join(root, 'login.json'))
  if (login === undefined)
    throw new NotHere(`The platform on ${root} has not finished its first start.\nTry again in a moment; \`everleaf status\` shows how it is.`)
  return { root, ports, login, caFile: join(root, 'run', 'ca.pem'), trustFile: join(root, 'run', 'trust.pem') }
}

export function isRunning(root: string): boolean {
  const ports = readJson<Ports>(join(root, 'run', 'ports.json'))
  return ports !== undefined && isAlive(ports.pid)
}

/** Whether a process of this machine has this id, whoever's it is. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

function readJson<T>(file: string): T | undefined {
  if (!existsSync(file)) return undefined
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T
  } catch {
    throw new NotHere(`${file} is damaged.\nStop the platform, delete that file, and start it again.`)
  }
}
