import { HEADER_NAME, headerValue } from './perform.ts'
import type { Place } from './place.ts'

/** What sync says became of one renewal. */
export type Swept = {
  readonly renewal?: string
  readonly secret_id?: string
  readonly result: string
  readonly reasons?: readonly string[]
  readonly warnings?: readonly string[]
}

const GOOD = ['proven', 'in-place']
const ASK_MS = 90_000
const LIMIT_MS = 600_000

export function isGood({ result }: Swept): boolean {
  return GOOD.includes(result)
}

/**
 * Lets sync compare every renewal's source with what is in place and repair what differs, with its own rights and not with the caller's.
 * Throws when it does not answer, or not as sync does.
 */
export async function runSweep(place: Place): Promise<readonly Swept[]> {
  const { codeEngine, project, app, world, reach } = place
  const [{ endpoint = '' }, value] = await Promise.all([codeEngine.getApp(project, app), headerValue(place)])
  const endsAt = world.monotonicMs() + LIMIT_MS
  for (;;) {
    const { status, body } = await reach.request({
      method: 'POST',
      url: `${endpoint}/sweep`,
      headers: { [HEADER_NAME]: value, 'content-type': 'application/json' },
      body: '{}',
      timeoutMs: ASK_MS,
    })
    if (status === 403)
      throw new Error(`sync does not know the header value of ${app}-header: its app is older than the secret. Make it so with: everleaf renew apply`)
    const answer = answerIn(body)
    // Sync says them as they end.
    if (answer?.secrets !== undefined) return answer.secrets.toSorted((a, b) => ((a.renewal ?? '') < (b.renewal ?? '') ? -1 : 1))
    // Asked again while it runs, sync waits for the same run.
    if (status !== 202 || world.monotonicMs() > endsAt)
      throw new Error(`sync answered ${status}${answer?.error === undefined ? '' : `: ${answer.error}`}. What it wrote: ibmcloud ce app logs -n ${app}`)
    await world.sleep(200)
  }
}

function answerIn(body: Uint8Array): { secrets?: readonly Swept[]; error?: string } | undefined {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8')) as { secrets?: readonly Swept[]; error?: string }
  } catch {
    return undefined // said by its status
  }
}
