// Writes docs/reference/{cli,errors,gate,ignored,sync}.md from the lists in the code; with --check, fails when a page is not what the code says.
import { readFileSync, writeFileSync } from 'node:fs'
import { allFamilies } from '../apps/cli/src/ibmcloud/families.ts'
import { usage } from '../apps/cli/src/ibmcloud/help.ts'
import { VARIABLES } from '../apps/sync/src/config.ts'
import { MENDS } from '../packages/pki/src/mends.ts'
import { type ReasonCode, REASONS } from '../packages/pki/src/reasons.ts'
import { CODES as codeEngine } from '../services/code-engine/src/errors.ts'
import { BUILD_MEMBERS, RUN_MEMBERS } from '../services/code-engine/src/without-effect.ts'
import { CODES as eventNotifications } from '../services/event-notifications/src/errors.ts'
import { IDENTITY_CODES, POLICY_CODES, TOKEN_CODES } from '../services/iam/src/errors.ts'
import { CODES as objectStorage } from '../services/object-storage/src/errors.ts'
import { CODES as resourceController } from '../services/resource-controller/src/errors.ts'
import { codes as secretsManager } from '../services/secrets-manager/src/errors.ts'

const MADE = '<!-- Made by `node bin/with-node.js tools/reference.ts` from the code. -->'

const apis = {
  'Code Engine': codeEngine,
  'Event Notifications': eventNotifications,
  'IAM: token endpoint': TOKEN_CODES,
  'IAM: identity': IDENTITY_CODES,
  'IAM: policies': POLICY_CODES,
  'Object Storage': objectStorage,
  'Resource controller and resource manager': resourceController,
  'Secrets Manager': secretsManager,
}
const families = await allFamilies()
const pages = {
  'docs/reference/cli.md': [
    "# IBM Cloud's command line, as Everleaf speaks it",
    '`bin/ibmcloud` finds the running platform by `EVERLEAF_HOME` and is logged in as its own service ID. Exit status: 0 done, 1 failed, 2 wrong use, 3 no platform.',
    ...families.flatMap((family) => [
      `## ${family.name === '' ? 'Commands without a service' : `ibmcloud ${family.name}`}`,
      table(
        ['command', 'what it does'],
        family.commands.map((command) => [`\`${usage(family, command)}\``, command.about]),
      ),
      `Commands of IBM's that Everleaf does not have: ${family.absent.map((name) => `\`${name}\``).join(', ')}.`,
    ]),
  ],
  'docs/reference/errors.md': [
    '# Codes of refusals',
    'The words that programs may rely on. The message beside a code says what to do next and may change.',
    ...Object.entries(apis).map(([api, list]) => `## ${api}\n\n${[...new Set(Object.values(list))].map((code) => `- \`${code}\``).join('\n')}`),
  ],
  'docs/reference/gate.md': [
    '# What the certificate gate says',
    'The gate stands before every replacement: sync asks it, and Code Engine before it serves a new pair. `code`: what it means.',
    table(
      ['code', 'meaning', 'how to mend it'],
      Object.entries(REASONS).map(([code, meaning]) => [`\`${code}\``, meaning, MENDS[code as ReasonCode]]),
    ),
  ],
  'docs/reference/ignored.md': [
    '# Members that change nothing',
    'Everleaf keeps and shows them as IBM Cloud does, so that programs that send them work; here they have no effect. The answer to a request that',
    'sends one of them with a value that would matter names it in the header `Everleaf-Ignored`, and so does one with a member that the API does not know.',
    ...Object.entries({ 'Apps, jobs and job runs of Code Engine': RUN_MEMBERS, 'Builds and build runs of Code Engine': BUILD_MEMBERS }).map(
      ([what, members]) =>
        `## ${what}\n\n${table(
          ['member', 'why'],
          Object.entries(members).map(([name, { why }]) => [`\`${name}\``, why]),
        )}`,
    ),
  ],
  'docs/reference/sync.md': [
    "# Sync's variables",
    'Read and checked once, at the start; sync does not start with a wrong one and says which. Renewals stand in the config map',
    '`<app>-renewals`, key `renewals.json` (schema: `packages/renewals/renewals.schema.json`).',
    table(
      ['variable', 'default', 'what for'],
      VARIABLES.map(([name, fallback, what]) => [`\`${name}\``, fallback, what]),
    ),
  ],
}

const isCheck = process.argv.includes('--check')
let stale = 0
for (const [file, parts] of Object.entries(pages)) {
  const text = `${MADE}\n${parts.join('\n\n')}\n`
  if (!isCheck) writeFileSync(file, text)
  else if (read(file) !== text) {
    stale++
    console.log(`${file} is not what the code says. Run: node bin/with-node.js tools/reference.ts`)
  }
}
console.log(`reference: ${Object.keys(pages).length} pages, ${stale} stale`)
process.exitCode = stale === 0 ? 0 : 1

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n')
}
