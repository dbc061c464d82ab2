// Writes docs/reference/{cli,errors,gate,ignored,renewals,sync}.md, reasons/ and everleaf.schema.json from the lists in the code; with --check, fails when a page is not what the code says.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { allFamilies } from '../apps/cli/src/ibmcloud/families.ts'
import { explanations } from '../apps/cli/src/certificate/explain.ts'
import type { Family } from '../apps/cli/src/ibmcloud/grammar.ts'
import { usage } from '../apps/cli/src/ibmcloud/help.ts'
import { EXAMPLE, members, publishedSchema } from '../apps/cli/src/renew/manifest-schema.ts'
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
const RENEWALS = `
One file says what is kept fresh; \`everleaf renew\` makes it so, through the public APIs of IBM Cloud alone, on Everleaf or, with
\`--target ibm\`, on IBM Cloud. Commands look for \`everleaf.yaml\` in the folder they are typed in; \`--file FILE\` names another.

| command | what it does | exit status |
| --- | --- | --- |
| \`everleaf renew plan [--json]\` | what would be made, in which order, by which call, with which smallest right, and why; changes nothing | 0, or 2 with everything that stands against it |
| \`everleaf renew apply\` | makes it so, step by step; what is there stays | 0, 1 a step failed, 2 refused before anything was made |
| \`everleaf renew show [NAME] [--json]\` | every host: state, days left, last proof, what is served; or all that is known of one renewal | 0 |
| \`everleaf renew sweep [--json]\` | lets sync compare every renewal with what is in place and repair what differs | 0 all in place and proven, 1 not |
| \`everleaf renew delete NAME\` | takes one renewal out of the list; its secrets, app and domain stay | 0 |
| \`everleaf renew delete --all [-f]\` | removes exactly what was made here, after a question | 0, 1 something stays, 2 nobody to ask |

\`create\`, \`list\`, \`rotate\`, \`verify\` and \`release\` are in the [README](../../README.md); \`create\` goes through the same steps.

- **Again and again.** Before each step it is looked at what is there: a second \`apply\` finds nothing to do, and one that was stopped at any
  moment is gone on with by the next.
- **Two at once.** One of them works; the other waits and then finds nothing to do. The lease is part of the ledger; that of a process that died on this
  machine is taken over at once, another one when 20 seconds are over.
- **The ledger.** What was made is written into the config map \`<sync>-made\` before it is made, with its id afterwards. \`delete --all\` removes what
  stands there, the last first, and leaves a thing that somebody has made anew under the same name. What was there before is used and never in it.
- **Files.** A secret is made of them. When the files hold a later certificate than the secret, \`apply\` writes a new version; older files never come back.
- **Rights.** Sync reads the secrets of the groups that the renewals need and writes this one Code Engine project, by a trusted profile that only the app of
  that name in that project can take up. \`plan\` ends with what whoever applies it needs, and a test applies it with exactly that: as Everleaf asks for
  rights. To delete takes Manager on Event Notifications besides. On IBM Cloud an administrator of an instance may also write policies about that instance alone.

## On IBM Cloud

\`--target ibm\` (or \`target: ibm\` in the file) speaks to IBM's public endpoints. The API key is read from \`IBMCLOUD_API_KEY\` and never from the command line.
The file names \`region\`, \`project\`, \`secretsManager\` and \`eventNotifications\`, which must be there: nothing that costs money is made. Sync itself is told
the private endpoints of IAM and Secrets Manager; its app is public, because Event Notifications delivers from outside of the project's network, and answers only
who knows its header, 256 random bits made at the first \`apply\`.

Code Engine's API takes no source from a machine: IBM's own command line sends it by a registry. Sync is one file of 90 KB, so \`apply\` puts it into the config
map \`<sync>-code\`, and the app runs it by the \`node\` of an image that needs no credentials: Red Hat's \`ubi9/nodejs-24-minimal\`, or what
\`sync: { nodeImage, imageSecret }\` names. No registry and no namespace of one's own is needed. Who wants an image of sync builds \`apps/sync/dist\` (it has a
Dockerfile) and names it: \`sync: { image, imageSecret }\`.
`

const REASONS_FOLDER = 'docs/reference/reasons'
const reasons = explanations()

/** A command begins with its program; everything else is a sentence. */
function mended(mend: string): string {
  return /^(?:openssl|printf) /.test(mend) ? `\`\`\`\n${mend}\n\`\`\`` : mend
}

/** A sentence about the options that are refused by name, where there are any; one that all commands have is said once. */
function absentFlags({ commands }: Family): string[] {
  const found = commands.flatMap(({ words, flags = [] }) => flags.flatMap(({ name, absent }) => (absent === undefined ? [] : [{ name, of: words.join(' ') }])))
  const ofAll = (name: string) => found.filter((one) => one.name === name).length === commands.length
  const shown = found.map(({ name, of }) => `\`--${name}\` of ${ofAll(name) ? 'every command' : `\`${of}\``}`)
  return found.length === 0 ? [] : [`Options of IBM's that it does not have, and refuses by name: ${[...new Set(shown)].join(', ')}.`]
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
      ...absentFlags(family),
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
    'It agrees with x509-limbo on 188 of 198 cases for servers, with BetterTLS on all 9,491 name constraints and 73 of 81 paths. Where it differs is written beside the tests\n(`packages/pki/test/vectors`), which hold these numbers; every tenth name constraint, or all with `EVERLEAF_LONG_TESTS=1`. [Decision 0014](../decisions/0014-an-own-gate-and-two-sets-of-rules.md).',
    table(
      ['code', 'meaning', 'how to mend it'],
      Object.entries(REASONS).map(([code, meaning]) => [`[\`${code}\`](reasons/${code}.md)`, meaning, MENDS[code as ReasonCode]]),
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
  [`${REASONS_FOLDER}/README.md`]: [
    '# Every reason against a certificate',
    'What the gate and `everleaf certificate check` answer with. `everleaf certificate explain CODE` prints the same.',
    table(
      ['code', 'meaning'],
      reasons.map(({ code, means }) => [`[\`${code}\`](${code}.md)`, means]),
    ),
  ],
  ...Object.fromEntries(
    reasons.map(({ code, means, why, mend }) => [
      `${REASONS_FOLDER}/${code}.md`,
      [`# ${code}`, means, '## Why it matters', why, '## How to mend it', mended(mend), '[All reasons](README.md)'],
    ]),
  ),
  'docs/reference/renewals.md': [
    '# everleaf.yaml, and what `everleaf renew` does with it',
    RENEWALS.trim(),
    '## An example',
    `\`\`\`yaml\n${EXAMPLE.trim()}\n\`\`\``,
    '## Every member',
    'A name that is not here is refused with its line. Editors that speak YAML take the schema by a first line',
    '`# yaml-language-server: $schema=…/docs/reference/everleaf.schema.json`. Files are looked for beside `everleaf.yaml`.',
    table(
      ['member', 'what it says'],
      members().map(([name, what]) => [`\`${name}\``, what]),
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

const files = {
  ...Object.fromEntries(Object.entries(pages).map(([file, parts]) => [file, `${MADE}\n${parts.join('\n\n')}\n`])),
  'docs/reference/everleaf.schema.json': `${JSON.stringify(publishedSchema(), null, 2)}\n`,
}
const isCheck = process.argv.includes('--check')
let stale = 0
mkdirSync(REASONS_FOLDER, { recursive: true })
for (const name of readdirSync(REASONS_FOLDER)) {
  const file = `${REASONS_FOLDER}/${name}`
  if (Object.hasOwn(files, file)) continue
  if (!isCheck) rmSync(file)
  else {
    stale++
    console.log(`${file} explains no reason that there is. Run: node bin/with-node.js tools/reference.ts`)
  }
}
for (const [file, text] of Object.entries(files)) {
  if (!isCheck) writeFileSync(file, text)
  else if (read(file) !== text) {
    stale++
    console.log(`${file} is not what the code says. Run: node bin/with-node.js tools/reference.ts`)
  }
}
console.log(`reference: ${Object.keys(files).length} pages, ${stale} stale`)
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
