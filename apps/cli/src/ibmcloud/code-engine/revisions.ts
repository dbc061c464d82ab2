import { path } from '@everleaf/clients'
import type { Command, Flag } from '../grammar.ts'
import { table } from '../table.ts'
import { WrongUse } from '../wrong-use.ts'
import { fact, runDescribed, serviceFacts, statusFact } from './described.ts'
import { commonCommands, type Kind, spelled, toItem } from './kinds.ts'
import { everyItem, inProject, type Item, OUTPUT, printed, say } from './scope.ts'

const REVISION: Kind = {
  words: ['revision', 'rev'],
  title: 'revision',
  segment: 'revisions',
  kind: 'Revision',
  columns: [],
  row: () => [],
  details: (_context, raw) => runDescribed(raw, { before: [fact('Application', raw.app_name), statusFact(raw)], after: serviceFacts(raw) }),
  folder: (name) => path`/apps/${ownerOf(name)}/revisions`,
}

/** The application of a revision: `<app>-00001`. Throws WrongUse. */
export function ownerOf(name: string): string {
  const app = /^(.+)-\d{5,}$/.exec(name)?.[1]
  if (app === undefined) throw new WrongUse(`${name} is not the name of a revision, as app-00001 is. See which there are: ibmcloud ce revision list`)
  return app
}

const APPLICATION: Flag = { name: 'application', short: 'a', synonyms: ['app'], value: 'NAME', about: 'only those of this application' }

const list: Command = {
  ...spelled(REVISION, 'list'),
  about: 'the revisions of the applications',
  flags: [APPLICATION, OUTPUT],
  async run(context, given) {
    const app = given.text('application')
    say(context, given, 'Listing revisions...')
    const apps = app === undefined ? (await everyItem(context, inProject(context, '/apps'), { key: 'apps' })).map(({ name }) => String(name)) : [app]
    const found: Item[] = []
    for (const name of apps) found.push(...(await everyItem(context, inProject(context, path`/apps/${name}/revisions`), { key: 'revisions' })))
    if (await printed(context, given, { apiVersion: 'v1', kind: 'List', items: found.map((raw) => toItem(REVISION, raw)) })) return
    context.screen.note('OK\n')
    context.screen.result(
      table(
        ['Name', 'Application', 'Status', 'Created'],
        found.map(({ name, app_name, status, created_at }) => [name, app_name, status, created_at].map(String)),
      ),
    )
  },
}

export const revisionCommands: readonly Command[] = [list, ...commonCommands(REVISION).filter(({ words }) => words[1] !== 'list')]
