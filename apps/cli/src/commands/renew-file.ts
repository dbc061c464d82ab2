import { WrongUse } from '../home.ts'
import { apply, planFor } from '../renew/apply.ts'
import { type Desired, deploymentOf } from '../renew/desired.ts'
import { freshness } from '../renew/freshness.ts'
import { desiredOf } from '../renew/manifest.ts'
import type { Observed } from '../renew/observe.ts'
import type { Place } from '../renew/place.ts'
import { ROLE_IDS } from '../renew/roles.ts'
import { type Right, rightsOf, type Step } from '../renew/steps.ts'
import { isGood, runSweep } from '../renew/sweep.ts'
import { aboutThing, findMade, unmake } from '../renew/unmake.ts'
import { readRenewals } from '../renewals.ts'
import type { Opened } from '../renew-program.ts'
import { type Terminal, table } from '../terminal.ts'

export type Wanted = { readonly place: Place; readonly desired: Desired; readonly file: string }

/** What the file wants, ready to be compared with what is there. Throws WrongUse. */
export async function wanted({ place, manifest, file }: Opened, syncFolder: () => Promise<string>): Promise<Wanted> {
  if (manifest === undefined) throw new Error('no file was read')
  const deployment = await deploymentOf(place, syncFolder, manifest.data.sync)
  return { place, desired: await desiredOf(manifest, place, deployment), file }
}

/** The plan for people. */
export async function planText({ place, desired, file }: Wanted, { bold, dim }: Terminal): Promise<string> {
  const { steps, observed } = await planFor(place, desired)
  const notes = notesOn(observed, desired)
  for (const { name } of desired.renewals)
    for (const reason of observed.sources.get(name)?.current?.reasons ?? []) notes.push(`${name}: a version like the present one would be refused: ${reason}`)
  const lines = steps.flatMap(({ what, call, rights, why, does }, i) => [
    `${String(i + 1).padStart(3)}. ${does === 'make' ? '' : '(change) '}${bold(what)}`,
    `     ${dim(`${call}; needs ${rights.map((right) => said(place, right)).join(' and ')}; ${why}`)}`,
  ])
  const head =
    steps.length === 0 ? 'Nothing to do: everything is as the file says.' : `${steps.length} ${steps.length === 1 ? 'step' : 'steps'} to what ${file} says:`
  const rights = rightsOf(place, steps)
  const needs =
    steps.length === 0
      ? []
      : [
          '',
          'Whoever applies this needs, and nothing more:',
          ...rights.map((right) => `  ${said(place, right)}`),
          `Do it with: everleaf renew apply${file === 'everleaf.yaml' ? '' : ` --file ${file}`}`,
        ]
  return `${[head, ...lines, ...needs, ...notes.map((note) => `note: ${note}`)].join('\n')}\n`
}

export async function planJson({ place, desired }: Wanted): Promise<object> {
  const { steps, observed } = await planFor(place, desired)
  const role = ({ role: name, ...on }: Right) => ({ role: name, role_id: ROLE_IDS[name], ...on })
  return {
    steps: steps.map(({ does, thing, what, call, rights, why }: Step) => ({ does, ...thing, what, call, rights: rights.map(role), why })),
    rights: rightsOf(place, steps).map(role),
    notes: notesOn(observed, desired),
  }
}

function notesOn({ list }: Observed, { renewals }: Desired): string[] {
  const others = list.renewals.filter(({ name }) => !renewals.some((renewal) => renewal.name === name)).map(({ name }) => name)
  return others.length === 0 ? [] : [`not in the file, and left as it is: ${others.join(', ')}. Take one out with: everleaf renew delete NAME`]
}

function said({ manager, notifications, project }: Place, { role, service, instance }: Right): string {
  const name =
    instance === manager.guid ? manager.name : instance === notifications.guid ? notifications.name : instance === project ? 'of this project' : instance
  return `${role} on ${service}${name === undefined ? '' : ` ${name}`}`
}

export async function applyWanted({ place, desired, file }: Wanted, terminal: Terminal): Promise<void> {
  const { steps, observed } = await apply(place, desired, { terminal, telling: 'steps' })
  for (const { name } of desired.renewals)
    for (const reason of observed.sources.get(name)?.current?.reasons ?? [])
      terminal.line(`${name}: warning: a version like the present one would be refused:\n  ${reason}`)
  if (steps.length === 0) terminal.line('Nothing to do: everything is as the file says.')
  else terminal.line(`${file} is in place: ${steps.length} ${steps.length === 1 ? 'step' : 'steps'}. Prove it with: everleaf renew sweep`)
}

/** The freshness map: every host, what is served there, and for how long. */
export async function mapText(place: Place, { red }: Terminal): Promise<string> {
  const lines = await freshness(place)
  if (lines.length === 0) return 'Nothing is kept fresh yet. Write an everleaf.yaml and type: everleaf renew plan\n'
  const text = table(
    ['HOST', 'STATE', 'DAYS LEFT', 'LAST PROOF', 'RENEWAL', 'SERVED'],
    lines.map((line) => [
      `${line.host ?? '-'}:${line.port ?? '-'}`,
      line.state,
      line.days_left === null ? '-' : String(line.days_left),
      line.last_proof_at ?? '-',
      line.name,
      line.served_fingerprint?.slice(0, 16) ?? '-',
    ]),
  )
  const wrong = lines.filter(({ state }) => state !== 'fresh').length
  return `${text}\n${wrong === 0 ? '' : `${red(`${wrong} of ${lines.length} hosts are not fresh.`)} See why with: everleaf renew show NAME; repair with: everleaf renew sweep\n`}`
}

export async function mapJson(place: Place): Promise<string> {
  return JSON.stringify(await freshness(place))
}

type Output = { readonly terminal: Terminal; readonly write: (text: string) => void; readonly json: boolean }

/** True when every renewal is in place and proven. */
export async function sweepAll(place: Place, { terminal, write, json }: Output): Promise<boolean> {
  if ((await readRenewals(place)).length === 0) throw new WrongUse('Nothing is kept fresh here. Write an everleaf.yaml and type: everleaf renew plan')
  const swept = await runSweep(place)
  if (json) write(`${JSON.stringify(swept)}\n`)
  for (const one of json ? [] : swept) {
    const word = isGood(one) ? terminal.green(one.result) : terminal.red(one.result)
    terminal.line(`${one.renewal ?? 'a renewal that cannot be used'}: ${word}${one.reasons === undefined ? '' : `. ${one.reasons.join('; ')}`}`)
    for (const warning of one.warnings ?? []) terminal.line(`${one.renewal}: warning: ${warning}`)
  }
  return swept.every(isGood)
}

type Asking = { readonly terminal: Terminal; readonly ask: (question: string) => Promise<boolean | undefined>; readonly force: boolean }

/** Removes what was made here, after a yes. True when nothing of it is left. */
export async function deleteAll(place: Place, { terminal, ask, force }: Asking): Promise<boolean> {
  const made = await findMade(place)
  if (made.length === 0) {
    terminal.line('Nothing that is there was made here.')
    return await unmake(place, terminal)
  }
  terminal.line(`${made.length} things were made here and will be removed; everything else stays:`)
  for (const thing of made) terminal.line(`  ${aboutThing(thing)}`)
  const answer = force ? true : await ask('Remove them?')
  if (answer === undefined) throw new WrongUse('There is no terminal to answer at: add --force (-f) to say yes.')
  if (!answer) {
    terminal.line('Nothing was changed.')
    return false
  }
  const whole = await unmake(place, terminal)
  terminal.line(whole ? 'Removed.' : 'Not everything could be removed: mend what is said above, and type it again.')
  return whole
}
