import type { Timer, World } from '@everleaf/world'
import type { Instance, InstanceSpec, TokenKind } from './engine.ts'
import type { InstanceToken, ServiceAccount } from './workload.ts'

/** Gives tokens for the instances of a workload: of the service account where one is named, else the compute resource token. */
export type TokenSource = (input: { workload: string; instance: string; serviceAccount?: string | undefined }) => Promise<InstanceToken>

/** An instance waits at most this long for its first token; then it starts and gets the token as soon as there is one. */
const FIRST_TOKEN_MS = 1000
const TOKEN_RETRY_MS = [500, 1000, 2000, 5000, 15_000] as const
/** A token is renewed between these shares of its life (api/iam §2.4). */
const REFRESH_FROM = 0.5
const REFRESH_TO = 0.8

type Deps = { readonly world: World; readonly tokenFor: TokenSource | undefined }
type Ids = { readonly workload: string; readonly instance: string }
type FirstTokens = ReadonlyMap<TokenKind, InstanceToken | undefined>

/** The tokens of one instance, those that it is to have, each kept fresh by itself. */
export class InstanceTokens {
  readonly #keepers: ReadonlyMap<TokenKind, TokenKeeper>

  constructor(deps: Deps, ids: Ids, wanted: { readonly token: boolean; readonly serviceAccount?: ServiceAccount | undefined }) {
    const { token, serviceAccount } = wanted
    this.#keepers = new Map([
      ...(token ? [['compute-resource', new TokenKeeper(deps, { ...ids, kind: 'compute-resource' })] as const] : []),
      ...(serviceAccount === undefined
        ? []
        : [['service-account', new TokenKeeper(deps, { ...ids, kind: 'service-account', serviceAccount: serviceAccount.name })] as const]),
    ])
  }

  /** The tokens to start with, as far as they came within a second. */
  async first(): Promise<FirstTokens> {
    return new Map(await Promise.all([...this.#keepers].map(async ([kind, keeper]) => [kind, await keeper.first()] as const)))
  }

  /** The spec with these tokens; '' where one comes later: the place for it is made. */
  into(spec: InstanceSpec, first: FirstTokens): InstanceSpec {
    const of = (kind: TokenKind, otherwise = '') => (this.#keepers.has(kind) ? (first.get(kind)?.token ?? otherwise) : undefined)
    const account = of('service-account')
    return {
      ...spec,
      token: of('compute-resource', spec.token),
      serviceAccount: spec.serviceAccount === undefined || account === undefined ? undefined : { ...spec.serviceAccount, token: account },
    }
  }

  keep(instance: Pick<Instance, 'writeToken'>, first: FirstTokens): void {
    for (const [kind, keeper] of this.#keepers) keeper.keep(instance, first.get(kind))
  }

  stop(): void {
    for (const keeper of this.#keepers.values()) keeper.stop()
  }
}

/** Keeps one token of one instance fresh. Without a source, instances start with their spec's own token. */
class TokenKeeper {
  readonly #world: World
  readonly #source: TokenSource | undefined
  readonly #ids: Parameters<TokenSource>[0]
  readonly #kind: TokenKind
  #timer: Timer | undefined
  #stopped = false

  constructor(deps: Deps, { kind, ...ids }: Parameters<TokenSource>[0] & { readonly kind: TokenKind }) {
    this.#world = deps.world
    this.#source = deps.tokenFor
    this.#ids = ids
    this.#kind = kind
  }

  /** The token to start with; undefined where there is none within a second. */
  async first(): Promise<InstanceToken | undefined> {
    if (this.#source === undefined) return undefined
    const late = Promise.withResolvers<undefined>()
    const timer = this.#world.after(FIRST_TOKEN_MS, () => late.resolve(undefined))
    try {
      return await Promise.race([this.#source(this.#ids), late.promise])
    } catch (error) {
      // The default account is there for everyone, and few read it: edge alone may start what has to run without it.
      const level = this.#ids.serviceAccount === 'default' ? 'info' : 'warn'
      this.#world.log[level]({ ...this.#ids, error: String(error) }, 'an instance starts without a token and gets it later')
      return undefined
    } finally {
      timer.cancel()
    }
  }

  /** Writes new tokens into the instance until `stop`, the next one when `token` is past half of its life, at once where there is none. */
  keep(instance: Pick<Instance, 'writeToken'>, token: InstanceToken | undefined, attempt = 0): void {
    const source = this.#source
    if (source === undefined || this.#stopped) return
    const waitMs = token
      ? refreshIn(token, { nowMs: this.#world.now().getTime(), chance: this.#world.chance() })
      : (TOKEN_RETRY_MS[Math.min(attempt, TOKEN_RETRY_MS.length - 1)] ?? 15_000)
    this.#timer = this.#world.after(waitMs, () => {
      source(this.#ids)
        .then(async (fresh) => {
          if (this.#stopped) return
          await instance.writeToken(fresh.token, this.#kind)
          this.keep(instance, fresh)
        })
        .catch(() => this.keep(instance, undefined, attempt + 1))
    })
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }
}

/** Ms until a token should be replaced: at a random point between 50 and 80 % of its life, so that many instances do not ask together. */
export function refreshIn(token: { issuedAt: number; expiresAt: number }, at: { nowMs: number; chance: number }): number {
  const lifeMs = token.expiresAt - token.issuedAt
  const due = token.issuedAt + lifeMs * (REFRESH_FROM + (REFRESH_TO - REFRESH_FROM) * at.chance)
  return Math.max(1000, due - at.nowMs)
}
