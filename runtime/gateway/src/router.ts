import type { Answer } from './answers.ts'
import { pathTrick } from './api-path.ts'
import type { Passed } from './gate.ts'
import { isBelow } from './names.ts'
import { type Binding, type Door, findHost, type Routes } from './table.ts'

/** Where a request goes. */
export type Route = { readonly workload: string } | { readonly coreTarget: string } | { readonly answer: Answer }

/** Routes a request that came over TLS: SNI and Host must name the same binding of this door (T61). */
export function routeSecure(passed: Passed, sni: string | undefined, door: Door, routes: Routes, rawPaths: readonly string[]): Route {
  const { name } = passed.host
  if (sni === undefined) return misdirected('Connect by name: the handshake named no host.')
  const binding = findHost(routes, name, door)
  if (binding === undefined) {
    const isMissingApp = sni === name && isBelow(name, routes.settings?.appSuffixes ?? [])
    return isMissingApp ? { answer: NO_SUCH_APP } : misdirected('This host is not served here.')
  }
  if (sni !== name && findHost(routes, sni, door)?.key !== binding.key) return misdirected('The Host header does not belong to the name of the handshake.')
  return routeBinding(passed, binding, rawPaths)
}

/** Routes by path on the plain listener; only names that nobody else can own are answered, against DNS rebinding. */
export function routePlain(passed: Passed, localPort: number, routes: Routes, rawPaths: readonly string[]): Route {
  const { name, port } = passed.host
  if (LOCAL_NAMES.has(name) && (port ?? 80) === localPort) return toApi(passed.target, rawPaths)
  const api = apiOf(name, routes)
  if (api === undefined) return misdirected(`This listener answers to localhost:${localPort}, 127.0.0.1:${localPort} and the platform's API names only.`)
  return toApi((api.label === true ? prefixOf(api, name) : '') + passed.target, rawPaths)
}

/** Routes a request in plain HTTP of an instance: only names of this door are there, and whether that instance may use one is asked next. */
export function routeProject(passed: Passed, routes: Routes): Route {
  const to = findHost(routes, passed.host.name, 'project')?.host.to
  return to?.kind === 'workload' ? { workload: to.workload } : { answer: NO_SUCH_APP }
}

/** 308 to https of the same host; the ACME path is reserved. */
export function frontAnswer(passed: Passed, publicPort: number): Answer {
  if (passed.target.startsWith('/.well-known/acme-challenge/')) return { status: 404, code: 'resource_not_found', message: 'There is no such challenge.' }
  const location = `https://${passed.host.name}${publicPort === 443 ? '' : `:${publicPort}`}${passed.target}`
  return { status: 308, code: 'use_https', message: 'Use https.', headers: ['Location', location], close: passed.body !== undefined }
}

const LOCAL_NAMES = new Set(['localhost', '127.0.0.1', '[::1]'])
export const NO_SUCH_APP: Answer = { status: 404, code: 'resource_not_found', message: 'There is no app at this address.' }

type Api = Extract<Binding['host']['to'], { kind: 'api' }>

/** The API that a name stands for on either door. */
function apiOf(name: string, routes: Routes): Api | undefined {
  for (const door of ['public', 'private'] as const) {
    const to = findHost(routes, name, door)?.host.to
    if (to?.kind === 'api') return to
  }
  return undefined
}

function prefixOf({ prefix, label }: Api, name: string): string {
  return label === true ? `${prefix}/${name.slice(0, name.indexOf('.'))}` : prefix
}

function routeBinding(passed: Passed, { host }: Binding, rawPaths: readonly string[]): Route {
  const { to } = host
  if (to.kind === 'workload') return { workload: to.workload }
  if (to.within !== undefined && !isWithin(passed.target, to.within))
    return { answer: { status: 404, code: 'resource_not_found', message: `The paths of this host begin with ${to.within}/.` } }
  return toApi(prefixOf(to, passed.host.name) + passed.target, rawPaths)
}

function isWithin(target: string, path: string): boolean {
  return target === path || target.startsWith(`${path}/`) || target.startsWith(`${path}?`)
}

/** Paths below `rawPaths` hold keys of objects, which are bytes: dots, slashes and percent signs in them mean themselves. */
function toApi(target: string, rawPaths: readonly string[]): Route {
  const query = target.indexOf('?')
  const path = query === -1 ? target : target.slice(0, query)
  const isRaw = rawPaths.some((raw) => path === raw || path.startsWith(`${raw}/`))
  const trick = /[^\x21-\x7e]/.test(target) ? 'a character outside ASCII' : isRaw ? undefined : pathTrick(path)
  if (trick === undefined) return { coreTarget: target }
  return { answer: { status: 400, code: 'bad_request', message: `The path contains ${trick}.`, close: true } }
}

function misdirected(message: string): Route {
  return { answer: { status: 421, code: 'misdirected_request', message } }
}
