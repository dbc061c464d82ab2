import { problemsIn, type Renewal } from '../renewals.ts'
import { codeMap, type Desired, type WantedRenewal } from './desired.ts'
import type { Observed } from './observe.ts'
import type { Place } from './place.ts'
import { entryOf, isNewer } from './renewal-steps.ts'
import { keyOf } from './things.ts'

type Problem = { readonly at: string; readonly problem: string }

/** What stands against it: nothing is made as long as one of these is there. Each says what to do. */
export function problemsOf(place: Pick<Place, 'app' | 'notifications'>, desired: Desired, observed: Observed): readonly Problem[] {
  const { app, notifications } = place
  const problems: Problem[] = []
  const pipeline = (problem: string) => void problems.push({ at: 'the pipeline', problem })
  if (observed.registration !== undefined && observed.registration !== notifications.crn)
    pipeline(
      `Secrets Manager is registered with another Event Notifications instance already (${observed.registration}).\nUse that one (eventNotifications in the file), or end the registration first: ibmcloud secrets-manager notifications-registration-delete`,
    )
  if (observed.app !== undefined && observed.app.deployment === undefined)
    pipeline(`the project has an app named ${app} that is not sync. Give sync another name in the file (sync: { name: … }).`)
  const { from } = desired.deployment
  const isOurs = observed.ledger.keys.has(keyOf({ kind: 'config-map', name: codeMap(app) }))
  if ('code' in from && observed.code !== undefined && observed.code.text !== from.code && !isOurs)
    pipeline(`the project has a config map named ${codeMap(app)} that was not made here. Give sync another name in the file (sync: { name: … }).`)
  for (const renewal of desired.renewals) problems.push(...problemsOfRenewal(renewal, observed))
  const others = observed.list.renewals.filter(({ name }) => !desired.renewals.some((renewal) => renewal.name === name))
  const next = [...others, ...desired.renewals.map((renewal) => entryOf(renewal, observed) ?? placeholder(renewal))]
  for (const problem of problemsIn(next)) problems.push({ at: 'the list of renewals', problem })
  return problems
}

function problemsOfRenewal(renewal: WantedRenewal, observed: Observed): Problem[] {
  const { name, at, target, source } = renewal
  const seen = observed.sources.get(name)
  const found: Problem[] = []
  const say = (problem: string, where = at) => void found.push({ at: where, problem: `${name}: ${problem}` })
  if (seen?.problem !== undefined) say(`${seen.problem}.`)
  if (seen?.files !== undefined && seen.files.reasons.length > 0 && (seen.secret === undefined || isNewer(seen)))
    say(`these files would not be put in place:\n${seen.files.reasons.map((reason) => `  ${reason}`).join('\n')}`)
  if ('files' in source && !SECRET_NAME.test(source.secret))
    say(
      `no secret of Secrets Manager can be named "${source.secret}": two letters or more, digits, dots, hyphens or underscores. Choose another name, or say it as secret beside the files.`,
    )
  if ('files' in source && seen?.secret !== undefined && !observed.ledger.keys.has(keyOf({ kind: 'secret', name: source.secret })))
    say(
      `Secrets Manager has a secret named ${source.secret} already that was not made here. Keep that one fresh (source: { name: ${source.secret} }), or choose another name.`,
    )
  const format = observed.targets.get(target)
  if (format !== undefined && format !== 'tls') say(`the Code Engine secret ${target} is of format ${format}, not tls. Choose another target.`)
  for (const { host, app, at: where } of renewal.bindings) {
    const mapping = observed.mappings.get(host)
    if (mapping !== undefined && (mapping.app !== app || mapping.target !== target))
      say(
        `${host} is mapped already: to the app ${mapping.app}, with the secret ${mapping.target}.\nLeave app out to keep it so (and give target: ${mapping.target}), or delete the mapping first.`,
        where,
      )
    else if (mapping === undefined && !observed.apps.has(app))
      say(`the project has no app named ${app} to which ${host} could lead. Make it first, or leave app out.`, where)
  }
  return found
}

/** What Secrets Manager takes as the name of a secret. */
const SECRET_NAME = /^(?=.{2,256}$)[A-Za-z0-9_][A-Za-z0-9_.-]*[A-Za-z0-9]$/

const ANY_ID = '00000000-0000-4000-8000-000000000000'

/** The entry as far as it is known before its secret is. */
export function placeholder({ name, target, probes, boundHosts, accept, trust }: WantedRenewal): Renewal {
  return { name, target, probes, boundHosts, accept, ...(trust === undefined ? {} : { trust }), source: { id: ANY_ID } }
}
