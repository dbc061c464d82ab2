import { type Authenticator, apiKeyAuthenticator, type ClientWorld, computeResourceAuthenticator } from '@everleaf/clients'
import { Secret, type World } from '@everleaf/world'
import type { Found } from '../home.ts'
import { accountIn } from '../token-claims.ts'
import { type Api, claimsOf, keptToken, openApi } from './api.ts'
import type { Screen } from './screen.ts'
import type { State } from './state.ts'
import { Failed, WrongUse } from './wrong-use.ts'

/** What commands need of the world. */
export type CommandWorld = ClientWorld & Pick<World, 'randomBytes'>

/** What every command works with. */
export type Context = {
  readonly world: CommandWorld
  readonly env: Readonly<Record<string, string | undefined>>
  readonly screen: Screen
  /** The running platform, looked for when it is first asked for. Throws NotHere. */
  readonly found: Found
  /** The plain listener's address. */
  readonly base: string
  state(): State
  /** Kept when the command ends well. */
  change(difference: Partial<State>): void
  forget(...names: readonly (keyof State)[]): void
  /** The login in use. Throws Failed when there is none. */
  readonly auth: Authenticator
  /** An API by its path on the plain listener. */
  api(path: string): Api
}

export type ContextOptions = {
  readonly world: CommandWorld
  readonly env: Readonly<Record<string, string | undefined>>
  readonly screen: Screen
  readonly find: () => Found
  readonly read: State
  readonly keep: (state: State) => void
}

export function createContext(options: ContextOptions): Context {
  const { world, env, screen } = options
  let known: Found | undefined
  const place = {
    get found() {
      known ??= options.find()
      return known
    },
    get base() {
      return `http://127.0.0.1:${place.found.ports.api}`
    },
  }
  let state = options.read
  const change = (difference: Partial<State>) => {
    state = { ...state, ...difference }
    options.keep(state)
  }
  const auth = loginOf({ world, env, place, state: () => state, change })
  return {
    world,
    env,
    screen,
    get found() {
      return place.found
    },
    get base() {
      return place.base
    },
    state: () => state,
    change,
    forget(...names) {
      state = Object.fromEntries(Object.entries(state).filter(([name]) => !names.includes(name as keyof State)))
      options.keep(state)
    },
    auth,
    api: (path) => openApi({ world, url: `${place.base}${path}`, auth }),
  }
}

type LoginOptions = Pick<ContextOptions, 'world' | 'env'> & { place: Pick<Context, 'found' | 'base'>; state: () => State; change: Context['change'] }

// The platform's own login, unless somebody logged in as somebody else: a shell of Everleaf's is logged in from the start.
function loginOf({ world, place, state, change }: LoginOptions): Authenticator {
  let opened: { login: State['login']; auth: Authenticator } | undefined
  const open = (): Authenticator => {
    const { login, loggedOut, token } = state()
    const { found, base } = place
    if (login === undefined && loggedOut === true) throw new Failed('Not logged in. Log in with: ibmcloud login --apikey @FILE')
    const kept = login ?? { apikey: found.login.apikey }
    const iamUrl = `${base}/iam`
    // A login forgets the token of the one before it; the platform's own login is known by its account. No hash: node:crypto takes 14 ms to load.
    const of = login === undefined ? `platform ${found.login.account}` : 'login'
    if (opened !== undefined && opened.login === login) return opened.auth
    const inner =
      'apikey' in kept
        ? apiKeyAuthenticator({ world, iamUrl, apiKey: new Secret(kept.apikey) })
        : computeResourceAuthenticator({ world, iamUrl, tokenFile: kept.crToken, profile: profileOf(kept.profile) })
    const auth = keptToken({
      world,
      kept: token?.of === of ? token : undefined,
      async obtain() {
        inner.forget()
        const won = await inner.token()
        const { exp } = claimsOf(won)
        return { token: won, lifeMs: typeof exp === 'number' ? exp * 1000 - world.now().getTime() : 0 }
      },
      keep: (won) => change({ token: won === undefined ? undefined : { ...won, of } } as Partial<State>),
    })
    opened = { login, auth }
    return auth
  }
  return { token: () => open().token(), forget: () => open().forget() }
}

function profileOf(profile: string): { id: string } | { name: string } {
  return profile.startsWith('Profile-') ? { id: profile } : { name: profile }
}

export const RESOURCE_CONTROLLER = '/resource-controller'

export function regionOf({ state, found }: Context): string {
  return state().region ?? found.ports.region
}

/** The account of this login. */
export async function accountOf({ auth }: Context): Promise<string> {
  const account = accountIn(claimsOf(await auth.token()))
  if (account !== undefined) return account
  throw new Failed('This login has no account. Log in with an API key of one: ibmcloud login --apikey @FILE')
}

/** Asks before something is destroyed; without a terminal `--force` must have been given. Throws Failed when the answer is no. */
export async function confirm({ screen }: Context, force: boolean, question: string): Promise<void> {
  if (force) return
  const answer = await screen.ask(question)
  if (answer === undefined) throw new WrongUse(`${question}\nThere is no terminal to answer at: add --force (-f) to say yes.`)
  if (!answer) throw new Failed('Nothing was changed.')
}
