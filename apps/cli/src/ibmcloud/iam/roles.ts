import { accountOf } from '../context.ts'
import type { Command } from '../grammar.ts'
import { print } from '../output.ts'
import { table } from '../table.ts'
import { apiOf, type Item, OUTPUT } from './client.ts'

const list: Command = {
  words: ['roles'],
  about: 'the roles there are, of a service or of all',
  flags: [
    { name: 'service', value: 'SERVICE', about: 'those that this service has' },
    { name: 'source-service', value: 'SERVICE', about: 'those that this service may have on --service, for authorizations' },
    OUTPUT,
  ],
  async run(context, given) {
    const source = given.text('source-service')
    const query = {
      account_id: await accountOf(context),
      service_name: given.text('service'),
      source_service_name: source,
      policy_type: source === undefined ? undefined : 'authorization',
    }
    const found = await apiOf(context).get<Readonly<Record<string, readonly Item[]>>>('/v2/roles', query)
    const roles = [...(found.system_roles ?? []), ...(found.service_roles ?? []), ...(found.custom_roles ?? [])]
    if (await print(context.screen, given.text('output'), roles)) return
    context.screen.result(
      table(
        ['Name', 'Description', 'CRN'],
        roles.map(({ display_name, description, crn }) => [display_name, description ?? '', crn].map(String)),
      ),
    )
  },
}

export const roleCommands: readonly Command[] = [list]
