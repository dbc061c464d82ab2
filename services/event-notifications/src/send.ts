import type { Http } from '@everleaf/world'
import type { DestinationConfig } from './config.ts'
import { isProfileName, PROFILES, type Profile } from './profiles.ts'
import type { Settings } from './service.ts'

export const USER_AGENT = 'everleaf-event-notifications/0.1.0'

/** What a receiver may make us read. */
const MAX_ANSWER_BYTES = 20_000

export type Sending = {
  readonly config: DestinationConfig
  readonly body: string
  readonly profile: Profile
  readonly signal: AbortSignal | undefined
  /** The whole request has left this process. */
  readonly onSent?: () => void
}
export type Sent = { readonly status?: number; readonly retryAfter?: string; readonly error?: string }

/** One try. A receiver's answer of any status is a result; so is none, with the reason in `error`, which never names a header's value. */
export async function sendTo(http: Http, { config, body, profile, signal, onSent }: Sending): Promise<Sent> {
  const { url, verb } = config.params
  if (typeof url !== 'string') return { error: 'the destination has no URL' }
  const method = typeof verb === 'string' ? verb.toUpperCase() : 'POST'
  const own = { 'content-type': 'application/json', 'user-agent': USER_AGENT, 'accept-encoding': 'identity' }
  const taken = new Set<string>(Object.keys(own))
  const custom = Object.entries(config.headers ?? {}).filter(([name]) => !taken.has(name.toLowerCase()))
  try {
    const response = await http.request({
      ...{ method, url, headers: { ...Object.fromEntries(custom), ...own }, timeoutMs: profile.timeoutMs, maxBytes: MAX_ANSWER_BYTES },
      // Whether IBM sends a body with GET is not documented; a body on GET is refused by many servers.
      ...(method === 'GET' ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
      ...(onSent === undefined ? {} : { onSent }),
    })
    const retryAfter = response.headers['retry-after']
    return { status: response.status, ...(retryAfter === undefined ? {} : { retryAfter }) }
  } catch (error) {
    return { error: reasonOf(error) }
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'the request failed'
  if (error.name === 'TimeoutError') return 'no complete answer in time'
  return (error.message || error.name).slice(0, 300)
}

/** The profile that a destination names, else the platform's. */
export function profileOf(config: DestinationConfig | undefined, settings: Settings): Profile {
  const name = config?.params.everleaf_delivery_profile
  return PROFILES[isProfileName(name) ? name : settings.defaultProfile]
}
