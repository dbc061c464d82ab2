import { path } from '@everleaf/clients'
import { accountOf, confirm, type Context } from '../context.ts'
import type { Argument, Command } from '../grammar.ts'
import { print } from '../output.ts'
import { WrongUse } from '../wrong-use.ts'
import { apiOf, clientOf, DESCRIPTION, FORCE, type Item, listing, named, ONE, ONLY_ID, OUTPUT, profileOf, show } from './client.ts'
import { accessPolicy, guidOf, POLICY_FLAGS, policiesOf, policyOf, policyText, replacePolicy } from './policies.ts'

const PROFILE: Argument = { name: 'PROFILE', about: 'its name or id' }
const POLICY: Argument = { name: 'POLICY', about: 'the id of the policy' }

const list = listing({
  words: ['trusted-profiles'],
  about: 'the trusted profiles of the account',
  columns: [
    ['Name', 'name'],
    ['ID', 'id'],
    ['Description', 'description'],
    ['Created', 'created_at'],
  ],
  flags: [
    { name: 'name', short: 'n', value: 'TEXT', about: 'only those whose name holds this' },
    { name: 'description', short: 'd', value: 'TEXT', about: 'only those whose description holds this' },
  ],
  async read(context, given) {
    const profiles = (await clientOf(context).listProfiles({ account_id: await accountOf(context) })) as readonly Item[]
    const holds = (field: string) => (profile: Item) => !given.has(field) || String(profile[field] ?? '').includes(given.need(field))
    return profiles.filter(holds('name')).filter(holds('description'))
  },
})

const get: Command = {
  words: ['trusted-profile'],
  about: 'one trusted profile',
  arguments: [PROFILE],
  flags: [ONLY_ID, OUTPUT],
  run: async (context, given) => show(context, await profileOf(context, given.need('PROFILE')), { output: given.text('output'), onlyId: given.is('id') }),
}

const create: Command = {
  words: ['trusted-profile-create'],
  about: 'make a trusted profile: an identity for workloads, without a key',
  arguments: [{ name: 'NAME', about: 'a name for it' }],
  flags: [DESCRIPTION, OUTPUT],
  async run(context, given) {
    const description = given.text('description')
    const made = await clientOf(context).createProfile({
      account_id: await accountOf(context),
      name: given.need('NAME'),
      ...(description === undefined ? {} : { description }),
    })
    if (!given.has('output')) context.screen.note(`Creating trusted profile ${given.need('NAME')}...\nOK\n`)
    await show(context, made, { output: given.text('output') })
  },
}

const update: Command = {
  words: ['trusted-profile-update'],
  about: 'change its name or description',
  arguments: [PROFILE],
  flags: [{ name: 'name', short: 'n', value: 'NAME', about: 'a new name' }, DESCRIPTION, ONE, OUTPUT],
  async run(context, given) {
    if (!given.has('name') && !given.has('description')) throw new WrongUse('Say what is to change: --name or --description.')
    const profile = (await profileOf(context, given.need('PROFILE'))) as Item & { id: string; entity_tag: string }
    const body = { name: given.text('name') ?? profile.name, description: given.text('description') ?? profile.description }
    const changed = await apiOf(context).put<Item>(path`/v1/profiles/${profile.id}`, body, { ifMatch: profile.entity_tag })
    await show(context, changed, { output: given.text('output') })
  },
}

const remove: Command = {
  words: ['trusted-profile-delete'],
  about: 'delete a trusted profile with its links and policies',
  arguments: [PROFILE],
  flags: [FORCE],
  async run(context, given) {
    const { id, name } = await profileOf(context, given.need('PROFILE'))
    await confirm(context, given.is('force'), `Delete the trusted profile ${name}?`)
    await clientOf(context).deleteProfile(id)
    context.screen.note(`OK\nThe trusted profile ${name} was deleted.`)
  },
}

const links = listing({
  words: ['trusted-profile-links'],
  about: 'which compute resources may take the profile on',
  arguments: [PROFILE],
  columns: [
    ['Name', 'name'],
    ['ID', 'id'],
    ['Compute resource type', 'cr_type'],
    ['Link', 'link'],
  ],
  flags: [ONE],
  read: async (context, given) => (await clientOf(context).listLinks((await profileOf(context, given.need('PROFILE'))).id)) as readonly Item[],
})

const linkCreate: Command = {
  words: ['trusted-profile-link-create'],
  about: 'let a compute resource take the profile on, such as one job of a Code Engine project',
  arguments: [PROFILE],
  flags: [
    { name: 'name', value: 'NAME', about: 'a name for the link' },
    {
      name: 'cr-type',
      value: 'TYPE',
      about: 'CE for Code Engine; Everleaf has no other compute resources',
      required: true,
      oneOf: ['CE', 'VSI', 'BMS', 'PVS', 'IKS_SA', 'ROKS_SA'],
    },
    { name: 'link-crn', value: 'CRN', about: 'the project', required: true },
    { name: 'link-component-type', value: 'TYPE', about: 'application, job or function' },
    { name: 'link-component-name', value: 'NAME', about: 'the component alone; otherwise all of the project' },
    ONE,
    OUTPUT,
  ],
  async run(context, given) {
    await requireCrn(context, { crn: given.need('link-crn'), type: given.need('cr-type') })
    const profile = await profileOf(context, given.need('PROFILE'))
    const [type, component] = [given.text('link-component-type'), given.text('link-component-name')]
    if ((type === undefined) !== (component === undefined)) throw new WrongUse('--link-component-type and --link-component-name go together.')
    const name = given.text('name')
    const made = await clientOf(context).createLink(profile.id, {
      cr_type: given.need('cr-type'),
      link: {
        crn: given.need('link-crn'),
        ...(type === undefined ? {} : { component_type: type }),
        ...(component === undefined ? {} : { component_name: component }),
      },
      ...(name === undefined ? {} : { name }),
    })
    if (!given.has('output')) context.screen.note(`Creating link for trusted profile ${profile.name}...\nOK\n`)
    await show(context, made, { output: given.text('output') })
  },
}

const CRN = /^crn:v1:[^:]+:[^:]+:[^:]+:[^:]*:a\/[^:]+:[^:]*:[^:]*:[^:]*$/

/** The API takes links to what is still to come, also in other accounts; a project of this account that is not there opens the profile to nobody. */
async function requireCrn(context: Context, { crn, type }: { crn: string; type: string }): Promise<void> {
  if (!CRN.test(crn))
    throw new WrongUse(
      '--link-crn is a CRN of ten parts, crn:v1:bluemix:public:SERVICE:REGION:a/ACCOUNT:GUID::\nSee those of projects: ibmcloud ce project list --output json',
    )
  const [, , , , service = '', , scope, guid = ''] = crn.split(':')
  if (type !== 'CE') return
  if (service !== 'codeengine') throw new WrongUse(`--link-crn is of ${service}, and CE links the projects of codeengine.`)
  if (scope === `a/${await accountOf(context)}`) await guidOf(context, guid)
}

const linkDelete: Command = {
  words: ['trusted-profile-link-delete'],
  about: 'take a link away',
  arguments: [PROFILE, { name: 'LINK', about: 'its name or id' }],
  flags: [FORCE],
  async run(context, given) {
    const client = clientOf(context)
    const profile = await profileOf(context, given.need('PROFILE'))
    const all = `ibmcloud iam trusted-profile-links ${profile.name}`
    const link = named(given.need('LINK'), (await client.listLinks(profile.id)) as readonly { id: string; name?: string }[], { what: 'link', all })
    await confirm(context, given.is('force'), `Delete the link ${link.name ?? link.id}?`)
    await client.deleteLink(profile.id, link.id)
    context.screen.note(`OK\nThe link ${link.name ?? link.id} was deleted.`)
  },
}

const subjectOf = async (context: Parameters<Command['run']>[0], given: Parameters<Command['run']>[1]) =>
  (await profileOf(context, given.need('PROFILE'))) as { id: string; name: string; iam_id: string }

const policies: Command = {
  words: ['trusted-profile-policies'],
  about: 'what the profile may do',
  arguments: [PROFILE],
  flags: [ONE, OUTPUT],
  async run(context, given) {
    const found = await policiesOf(context, { iam_id: (await subjectOf(context, given)).iam_id, type: 'access' })
    if (await print(context.screen, given.text('output'), found)) return
    context.screen.result(found.length === 0 ? 'There are none.' : found.map(policyText).join('\n\n'))
  },
}

const policy: Command = {
  words: ['trusted-profile-policy'],
  about: 'one policy of the profile',
  arguments: [PROFILE, POLICY],
  flags: [ONE, OUTPUT],
  async run(context, given) {
    const found = await policyOf(context, given.need('POLICY'), (await subjectOf(context, given)).iam_id)
    if (!(await print(context.screen, given.text('output'), found))) context.screen.result(policyText(found))
  },
}

const policyCreate: Command = {
  words: ['trusted-profile-policy-create'],
  about: 'let the profile do something',
  arguments: [PROFILE],
  flags: [...POLICY_FLAGS, ONE, OUTPUT],
  async run(context, given) {
    const { name, iam_id } = await subjectOf(context, given)
    const made = await apiOf(context).post<Item>('/v1/policies', await accessPolicy(context, given, iam_id))
    if (await print(context.screen, given.text('output'), made)) return
    context.screen.note(`Creating policy for trusted profile ${name}...\nOK\n`)
    context.screen.result(policyText(made))
  },
}

const policyDelete: Command = {
  words: ['trusted-profile-policy-delete'],
  about: 'take a policy away',
  arguments: [PROFILE, POLICY],
  flags: [FORCE],
  async run(context, given) {
    const { id } = await policyOf(context, given.need('POLICY'), (await subjectOf(context, given)).iam_id)
    await confirm(context, given.is('force'), `Delete the policy ${id}?`)
    await apiOf(context).remove(path`/v1/policies/${id}`)
    context.screen.note(`OK\nThe policy ${id} was deleted.`)
  },
}

const policyUpdate: Command = {
  words: ['trusted-profile-policy-update'],
  about: 'change what a policy of the profile says; what is not given stays as it is',
  arguments: [PROFILE, POLICY],
  flags: [...POLICY_FLAGS, ONE, OUTPUT],
  async run(context, given) {
    const { name, iam_id } = await subjectOf(context, given)
    const changed = await replacePolicy(context, given, iam_id)
    if (await print(context.screen, given.text('output'), changed)) return
    context.screen.note(`Updating policy of trusted profile ${name}...\nOK\n`)
    context.screen.result(policyText(changed))
  },
}

export const profileCommands: readonly Command[] = [
  list,
  get,
  create,
  update,
  remove,
  links,
  linkCreate,
  linkDelete,
  policies,
  policy,
  policyCreate,
  policyUpdate,
  policyDelete,
]
