import { path } from '@everleaf/clients'
import { confirm, type Context } from '../context.ts'
import type { Argument, Command, Flag, Given } from '../grammar.ts'
import { WrongUse } from '../wrong-use.ts'
import { apiOf, FORCE, type Item, listing, named, ONE, OUTPUT, profileOf, show } from './client.ts'

type Rule = Item & { readonly id: string; readonly name?: string; readonly entity_tag: string }
type Condition = { readonly claim: string; readonly operator: string; readonly value: string }

const PROFILE: Argument = { name: 'PROFILE', about: 'its name or id' }
const RULE: Argument = { name: 'RULE', about: 'its name or id' }
const CONDITIONS: Flag = { name: 'conditions', value: 'claim:CLAIM,operator:OPERATOR,value:VALUE', about: 'a condition; all must hold', many: true }
const SETTINGS: readonly Flag[] = [
  { name: 'type', value: 'TYPE', about: 'Profile-SAML or Profile-CR', oneOf: ['Profile-SAML', 'Profile-CR'] },
  CONDITIONS,
  { name: 'realm-name', value: 'REALM', about: 'the identity provider of a Profile-SAML rule' },
  { name: 'cr-type', value: 'TYPE', about: 'VSI, IKS_SA or ROKS_SA, of a Profile-CR rule', oneOf: ['VSI', 'IKS_SA', 'ROKS_SA'] },
  { name: 'expiration', value: 'SECONDS', about: 'how long a session of a Profile-SAML rule lasts' },
]

const list = listing({
  words: ['trusted-profile-rules'],
  about: 'the rules of the profile: federated users and clusters, of which Everleaf has none, so that no rule opens it here',
  arguments: [PROFILE],
  columns: [
    ['Name', 'name'],
    ['ID', 'id'],
    ['Type', 'type'],
    ['Conditions', 'conditions'],
  ],
  flags: [ONE],
  read: async (context, given) => rulesOf(context, (await profileOf(context, given.need('PROFILE'))).id),
})

const get: Command = {
  words: ['trusted-profile-rule'],
  about: 'one rule of the profile',
  arguments: [PROFILE, RULE],
  flags: [OUTPUT],
  run: async (context, given) => show(context, (await ruleOf(context, given)).rule, { output: given.text('output') }),
}

const create: Command = {
  words: ['trusted-profile-rule-create'],
  about: 'keep a rule; Code Engine jobs and apps are let in by trusted-profile-link-create instead',
  arguments: [PROFILE],
  flags: [
    { name: 'name', value: 'NAME', about: 'a name for the rule' },
    ...SETTINGS.map((flag) => (flag.name === 'type' || flag.name === 'conditions' ? { ...flag, required: true } : flag)),
    ONE,
    OUTPUT,
  ],
  async run(context, given) {
    const body = settings(given)
    const profile = await profileOf(context, given.need('PROFILE'))
    const made = await apiOf(context).post<Rule>(path`/v1/profiles/${profile.id}/rules`, body)
    if (!given.has('output')) context.screen.note(`Creating rule for trusted profile ${profile.name}...\nOK\n`)
    await show(context, made, { output: given.text('output') })
  },
}

const update: Command = {
  words: ['trusted-profile-rule-update'],
  about: 'change a rule; what is not given stays as it is',
  arguments: [PROFILE, RULE],
  flags: [{ name: 'name', value: 'NAME', about: 'a new name' }, ...SETTINGS, ONE, OUTPUT],
  async run(context, given) {
    const change = settings(given)
    if (Object.keys(change).length === 0) throw new WrongUse('Say what is to change, such as --name NAME or --conditions claim:…,operator:…,value:….')
    const { at, rule } = await ruleOf(context, given)
    const { id: _id, entity_tag, created_at: _made, modified_at: _changed, ...before } = rule
    const changed = await apiOf(context).put<Rule>(at, { ...before, ...change }, { ifMatch: entity_tag })
    await show(context, changed, { output: given.text('output') })
  },
}

const remove: Command = {
  words: ['trusted-profile-rule-delete'],
  about: 'take a rule away',
  arguments: [PROFILE, RULE],
  flags: [FORCE],
  async run(context, given) {
    const { at, rule } = await ruleOf(context, given)
    await confirm(context, given.is('force'), `Delete the rule ${rule.name ?? rule.id}?`)
    await apiOf(context).remove(at)
    context.screen.note(`OK\nThe rule ${rule.name ?? rule.id} was deleted.`)
  },
}

export const ruleCommands: readonly Command[] = [list, get, create, update, remove]

async function rulesOf(context: Context, profile: string): Promise<readonly Rule[]> {
  return (await apiOf(context).get<{ rules: readonly Rule[] }>(path`/v1/profiles/${profile}/rules`)).rules
}

async function ruleOf(context: Context, given: Given): Promise<{ at: string; rule: Rule }> {
  const profile = await profileOf(context, given.need('PROFILE'))
  const rule = named(given.need('RULE'), await rulesOf(context, profile.id), { what: 'rule', all: `ibmcloud iam trusted-profile-rules ${profile.name}` })
  return { at: path`/v1/profiles/${profile.id}/rules/${rule.id}`, rule }
}

/** Throws WrongUse. */
function settings(given: Given): Item {
  const expiration = given.whole('expiration')
  const texts = { name: 'name', type: 'type', realm_name: 'realm-name', cr_type: 'cr-type' }
  return {
    ...Object.fromEntries(Object.entries(texts).flatMap(([member, flag]) => (given.has(flag) ? [[member, given.need(flag)]] : []))),
    ...(expiration === undefined ? {} : { expiration }),
    ...(given.has('conditions') ? { conditions: given.texts('conditions').map(condition) } : {}),
  }
}

/** `claim:C,operator:O,value:V`; a value may hold commas and colons, and goes out as JSON text, as the API wants it. */
function condition(text: string): Condition {
  const parts = /^\s*claim:([^,]+),\s*operator:([^,]+),\s*value:(.*)$/s.exec(text)
  if (parts === null) throw new WrongUse(`--conditions is claim:CLAIM,operator:OPERATOR,value:VALUE, not ${text}.`)
  const [, claim = '', operator = '', value = ''] = parts
  return { claim: claim.trim(), operator: operator.trim(), value: /^["[]/.test(value) ? value : JSON.stringify(value) }
}
