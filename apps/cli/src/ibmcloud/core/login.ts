import { valueOrFile } from '../api.ts'
import type { Context } from '../context.ts'
import type { Command, Given } from '../grammar.ts'
import type { State } from '../state.ts'
import { Failed, WrongUse } from '../wrong-use.ts'
import { aim, showTarget } from './target.ts'

export const login: Command = {
  words: ['login'],
  about: "log in; without options as the platform's own service ID",
  flags: [
    { name: 'apikey', value: 'KEY|@FILE', about: 'an API key, better from a file than on the command line (also IBMCLOUD_API_KEY)' },
    { name: 'cr-token', value: 'TOKEN|@FILE', about: 'the file of a compute resource token (also IBMCLOUD_CR_TOKEN), with --profile' },
    { name: 'profile', value: 'PROFILE', about: 'the trusted profile, by name or id (also IBMCLOUD_CR_PROFILE)' },
    { name: 'a', value: 'ENDPOINT', about: 'cloud.ibm.com, for which Everleaf stands' },
    { name: 'r', value: 'REGION', about: 'the region from now on' },
    { name: 'g', value: 'GROUP', about: 'the resource group from now on' },
    { name: 'c', value: 'ACCOUNT', about: 'the account' },
    { name: 'no-region', about: 'without a region' },
    { name: 'sso', about: 'with a one-time passcode: Everleaf has none' },
    { name: 'u', value: 'USER', about: 'with a user name: Everleaf has no passwords' },
    { name: 'p', value: 'PASSWORD', about: 'with a password: Everleaf has none' },
  ],
  async run(context, given) {
    const { screen } = context
    refuseWhatIsNotHere(given)
    const before = context.state()
    context.change({ login: wanted(context, given), loggedOut: undefined, token: undefined } as Partial<State>)
    screen.note(`API endpoint: ${context.base}\nAuthenticating...`)
    try {
      await context.auth.token()
      await aim(context, given)
    } catch (error) {
      context.change({ login: undefined, token: undefined, loggedOut: undefined, ...before } as Partial<State>)
      throw error
    }
    screen.note('OK\n')
    await showTarget(context, undefined)
  },
}

export const logout: Command = {
  words: ['logout'],
  about: 'forget the login and its token',
  async run(context) {
    context.change({ login: undefined, token: undefined, loggedOut: true } as Partial<State>)
    context.screen.note('Logging out...\nOK')
  },
}

function refuseWhatIsNotHere(given: Given): void {
  for (const flag of ['sso', 'u', 'p'] as const)
    if (given.has(flag))
      throw new Failed(
        `Everleaf has no users with passwords or passcodes: -${flag === 'sso' ? '-sso' : flag} cannot work.\nLog in with: ibmcloud login --apikey @FILE`,
      )
  const endpoint = given.text('a')?.replace(/^https:\/\//, '')
  if (endpoint !== undefined && !/^(private\.)?cloud\.ibm\.com$|^(test\.)?everleaf/.test(endpoint) && !endpoint.startsWith('http://127.0.0.1'))
    throw new Failed(`Everleaf stands for cloud.ibm.com; it is not ${endpoint}. Leave -a out.`)
  if (given.is('no-region') && given.has('r')) throw new WrongUse('-r and --no-region contradict each other.')
}

function wanted({ env }: Context, given: Given): State['login'] {
  const token = given.text('cr-token') ?? (given.has('apikey') ? undefined : env.IBMCLOUD_CR_TOKEN)
  const profile = given.text('profile') ?? env.IBMCLOUD_CR_PROFILE
  if (given.has('apikey') && given.has('cr-token')) throw new WrongUse('--apikey and --cr-token contradict each other.')
  if (token !== undefined) {
    if (profile === undefined) throw new WrongUse('A compute resource token needs the trusted profile too: --profile NAME.')
    if (!token.startsWith('@'))
      throw new WrongUse('Give the file of the compute resource token, as the token itself changes within the hour: --cr-token @FILE.')
    return { crToken: token.slice(1), profile }
  }
  if (given.has('profile')) throw new WrongUse('--profile goes with --cr-token @FILE.')
  const key = given.text('apikey') ?? env.IBMCLOUD_API_KEY
  return key === undefined ? undefined : { apikey: valueOrFile(key) }
}
