import { regionOf } from '../context.ts'
import { checkRegion } from '../core/target.ts'
import type { Command } from '../grammar.ts'
import { facts } from '../table.ts'
import { Failed, WrongUse } from '../wrong-use.ts'

const LIST = { name: 'list', about: 'which it is' }
const FORCE = { name: 'force', short: 'f', about: 'without asking' }

const crn: Command = {
  words: ['config', 'crn'],
  about: 'the instance that new buckets belong to',
  flags: [{ name: 'crn', value: 'CRN', about: 'from now on' }, LIST, FORCE],
  async run(context, given) {
    const asked = given.text('crn')
    if (asked === undefined) return context.screen.result(facts([['CRN', context.state().cosCrn ?? '']]))
    context.change({ cosCrn: asked })
    context.screen.note('Saving new Service Instance ID...\nOK\nSuccessfully stored your service instance ID.')
  },
}

const METHOD = 'IAM'

const auth: Command = {
  words: ['config', 'auth'],
  about: 'how objects are reached: by IAM, which is the only way here',
  flags: [{ name: 'method', value: 'METHOD', about: METHOD }, LIST],
  async run({ screen }, given) {
    const method = given.text('method')
    if (method === undefined) return screen.result(facts([['Authentication Method', METHOD]]))
    if (method.toUpperCase() === 'HMAC')
      throw new Failed("Everleaf's command line has no HMAC keys: it reaches objects by IAM.\nLeave it at: ibmcloud cos config auth --method IAM")
    if (method.toUpperCase() !== METHOD) throw new WrongUse(`--method is ${METHOD}, not ${method}.`)
    screen.note('OK\nSuccessfully switched to IAM-based authentication.')
  },
}

const region: Command = {
  words: ['config', 'region'],
  about: 'the region of new buckets',
  flags: [{ name: 'region', value: 'REGION', about: 'from now on' }, LIST, FORCE],
  async run(context, given) {
    const asked = given.text('region')
    if (asked === undefined) return context.screen.result(facts([['Default Region', cosRegionOf(context)]]))
    const [, wide] = /^(us|eu|ap)(?:-geo)?$/.exec(asked) ?? []
    if (wide === undefined) checkRegion(asked)
    context.change({ cosRegion: wide ?? asked })
    context.screen.note('Saving default region...\nOK\nSuccessfully stored your default region.')
  },
}

const list: Command = {
  words: ['config', 'list'],
  about: 'what is remembered',
  async run(context) {
    context.screen.result(
      facts([
        ['CRN', context.state().cosCrn ?? ''],
        ['Default Region', cosRegionOf(context)],
        ['Authentication Method', METHOD],
      ]),
    )
  },
}

export const configCommands: readonly Command[] = [crn, auth, region, list]

/** The region of new buckets: the one of `cos config region`, else the targeted one. */
export function cosRegionOf(context: Parameters<Command['run']>[0]): string {
  return context.state().cosRegion ?? regionOf(context)
}
