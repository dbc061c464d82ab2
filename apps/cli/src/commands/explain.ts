import { ApiFailure } from '@everleaf/clients'
import { WrongUse } from '../home.ts'
import type { Session } from '../session.ts'
import { askPlatform } from '../status.ts'
import type { Terminal } from '../terminal.ts'

export interface ExplainOptions {
  readonly identity?: string
  readonly profile?: string
  readonly app?: string
  readonly job?: string
  readonly action?: string
  readonly on?: string
  readonly last?: string
  readonly json?: boolean
}

interface Step {
  readonly what: string
  readonly ok: boolean
  readonly text: string
  readonly mend?: string
}
interface Explanation {
  readonly allowed: boolean
  readonly steps: readonly Step[]
  readonly refused?: { readonly at: number; readonly requestId: string; readonly action?: string }
}
interface Out {
  readonly session: Session
  readonly terminal: Terminal
  readonly write: (text: string) => void
}

const LAST = 10
const MOST = 200

/**
 * Why IAM answers as it does: a question put with options, or the last refusals. True where the question's answer is yes; a list of refusals is
 * always true. Throws WrongUse for options that make no question.
 */
export async function explainAccess(options: ExplainOptions, out: Out): Promise<boolean> {
  const isList = [options.identity, options.profile, options.app, options.job, options.action, options.on].every((one) => one === undefined)
  if (isList) return await explainRefusals(options, out)
  if (options.last !== undefined) throw new WrongUse('--last lists refusals; it does not go with a question.')
  const explanation = await answer(options, out.session)
  if (options.json === true) out.write(`${JSON.stringify(explanation)}\n`)
  else draw(explanation, out.terminal)
  return explanation.allowed
}

async function explainRefusals(options: ExplainOptions, { session, terminal, write }: Out): Promise<true> {
  const limit = options.last === undefined ? LAST : Number(options.last)
  if (!Number.isInteger(limit) || limit < 1 || limit > MOST) throw new WrongUse(`--last takes a number from 1 to ${MOST}.`)
  const refusals = await ask(session, undefined, limit)
  if (options.json === true) {
    write(`${JSON.stringify(refusals)}\n`)
    return true
  }
  if (refusals.length === 0) terminal.line('Nothing was refused since the platform started. Ask why something would be: everleaf iam explain --help')
  for (const [index, explanation] of refusals.entries()) {
    const { at = 0, requestId = '', action } = explanation.refused ?? {}
    if (index > 0) terminal.line()
    terminal.line(terminal.bold(`${new Date(at).toISOString()}  ${action ?? 'a token by a trusted profile'}`) + terminal.dim(`  ${requestId}`))
    draw(explanation, terminal)
    if (explanation.allowed) terminal.line('It was refused then; by the links and policies of now it is allowed.')
  }
  return true
}

function draw({ allowed, steps }: Explanation, terminal: Terminal): void {
  for (const { ok, what, text, mend } of steps) {
    terminal.line(`  ${ok ? terminal.green('yes') : terminal.red('no ')}  ${what.padEnd(9)}  ${text}`)
    if (mend !== undefined) terminal.line(`  ${terminal.dim('to do:')}         ${mend}`)
  }
  terminal.line(allowed ? terminal.green('Allowed.') : terminal.red('Refused.'))
}

async function answer(options: ExplainOptions, session: Session): Promise<Explanation> {
  const { app, job, profile, identity, action, on } = options
  if ((action === undefined) !== (on === undefined)) throw new WrongUse('--action and --on go together: what, and on which resource (its CRN).')
  if (app !== undefined && job !== undefined) throw new WrongUse('--app and --job contradict each other.')
  if ((identity === undefined) === (profile === undefined))
    throw new WrongUse('Say who asks: either --profile NAME (with --app or --job NAME) or --identity IAM_ID.')
  const want = action === undefined || on === undefined ? undefined : { action, resource: resourceOf(on) }
  const component = app ?? job
  if (component === undefined) {
    if (want === undefined) throw new WrongUse('Say what is asked: --action and --on, or --app or --job to ask whether the profile trusts it.')
    return await one(session, { who: { iamId: identity ?? (await profileNamed(session, profile ?? '')) }, want })
  }
  if (profile === undefined) throw new WrongUse('An app or a job acts by a trusted profile: give --profile NAME.')
  const componentType = job === undefined ? 'application' : 'job'
  const own = await tokenOf(session, { component, componentType })
  if (!own.ok) return { allowed: false, steps: [own] }
  const { account } = session.login
  const who = { component: { account, projectCrn: session.projectCrn, componentType, componentName: component }, profile: { name: profile } }
  const { allowed, steps } = await one(session, { who, ...(want === undefined ? {} : { want }) })
  return { allowed, steps: [own, ...steps] }
}

async function one(session: Session, question: unknown): Promise<Explanation> {
  const [explanation] = await ask(session, question, 1)
  if (explanation === undefined) throw new Error('the platform gave no explanation')
  return explanation
}

async function ask(session: Session, question: unknown, limit: number): Promise<readonly Explanation[]> {
  return await askPlatform<readonly Explanation[]>(session.found.root, { method: 'POST', path: '/explain', body: { question, limit }, timeoutMs: 15_000 })
}

/** Whether the component is there and gets a compute resource token at all: what IAM itself cannot tell. */
async function tokenOf({ codeEngine, project }: Session, { component, componentType }: { component: string; componentType: string }): Promise<Step> {
  const word = componentType === 'job' ? 'job' : 'app'
  try {
    const found = await (word === 'job' ? codeEngine.getJob(project, component) : codeEngine.getApp(project, component))
    if (found.run_compute_resource_token_enabled === true)
      return { what: 'component', ok: true, text: `The ${word} ${component} gets a compute resource token.` }
    return {
      what: 'component',
      ok: false,
      text: `The ${word} ${component} gets no compute resource token: it has no file to show to IAM.`,
      mend: `ibmcloud ce ${word} update --name ${component} --trusted-profiles-enabled=true`,
    }
  } catch (error) {
    if (!(error instanceof ApiFailure) || error.status !== 404) throw error
    return { what: 'component', ok: false, text: `The project has no ${word} ${component}.`, mend: `ibmcloud ce ${word} list shows those there are.` }
  }
}

async function profileNamed(session: Session, name: string): Promise<string> {
  const found = (await session.iam.listProfiles({ account_id: session.login.account })).find(
    (one) => one.name === name || one.id === name || one.iam_id === name,
  )
  if (found === undefined) throw new WrongUse(`There is no trusted profile ${name}. See: ibmcloud iam trusted-profiles`)
  return found.iam_id
}

/** A CRN, `crn:v1:cname:ctype:service:region:scope:instance:type:id`, as what a policy speaks of. */
function resourceOf(crn: string): { service: string; instance?: string; type?: string; id?: string } {
  const [word, version, , , service = '', , , instance, type, ...id] = crn.split(':')
  if (word !== 'crn' || version !== 'v1' || service === '' || instance === undefined)
    throw new WrongUse(
      '--on takes a CRN, as ibmcloud resource service-instance NAME --crn prints it; add resource type and name in its last two parts for a bucket.',
    )
  return { service, ...(instance ? { instance } : {}), ...(type ? { type } : {}), ...(id.length > 0 && id.join(':') !== '' ? { id: id.join(':') } : {}) }
}
