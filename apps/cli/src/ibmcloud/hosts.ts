import type { Context } from './context.ts'
import { Failed } from './wrong-use.ts'

// Host names that IBM's services have, and where Everleaf answers for them on its plain listener.
const PLACES: readonly (readonly [RegExp, (groups: Readonly<Record<string, string>>) => string])[] = [
  [/^(private\.)?(?<guid>[0-9a-f-]{36})\.(private\.)?[a-z]+-[a-z]+\.secrets-manager\.(test\.)?appdomain\.cloud$/, ({ guid }) => `/secrets-manager/${guid}`],
  [/^(private\.)?[a-z]+-[a-z]+\.event-notifications\.(test\.)?cloud\.ibm\.com$/, () => '/event-notifications'],
]

/**
 * A service URL from an environment variable, as a path on the platform: the platform's own URL, or IBM's name of the same service
 * (scripts build these from a GUID and a region). Throws Failed when it leads elsewhere.
 */
export function pathOfService({ base }: Pick<Context, 'base'>, of: { readonly variable: string; readonly url: string }): string {
  const { variable, url } = of
  if (url.startsWith(`${base}/`)) return url.slice(base.length).replace(/\/+$/, '')
  let host = ''
  try {
    host = new URL(url.trim()).hostname
  } catch {
    throw new Failed(`${variable} is no URL: ${url}`)
  }
  for (const [pattern, place] of PLACES) {
    const groups = pattern.exec(host)?.groups
    if (pattern.test(host)) return place(groups ?? {})
  }
  throw new Failed(`${variable} leads to ${host}, for which Everleaf does not stand.\nUnset it to use the platform that is running here (${base}).`)
}
