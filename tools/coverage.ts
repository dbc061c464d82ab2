// Writes docs/reference/coverage.md from the route tables and the published operation lists; with --check, fails when it is not current.
import { readFileSync, writeFileSync } from 'node:fs'
import { routes as codeEngine } from '../services/code-engine/src/routes.ts'
import { routes as eventNotifications } from '../services/event-notifications/src/routes.ts'
import { identityRoutes, policyV1Routes, policyV2Routes } from '../services/iam/src/routes.ts'
import { isAbsent } from '../services/object-storage/src/absent.ts'
import { routes as objectStorage } from '../services/object-storage/src/routes.ts'
import { routes as resourceController } from '../services/resource-controller/src/routes.ts'
import { routes as secretsManager } from '../services/secrets-manager/src/routes.ts'
import type { Route } from '../packages/http/src/index.ts'

/** `query`: names in the query by which operations of one path differ. */
type Published = { readonly operation: string; readonly method: string; readonly path: string; readonly query?: readonly string[] }

const FILE = 'docs/reference/coverage.md'
const { apis } = JSON.parse(readFileSync('tests/conformance/generated/operations.json', 'utf8')) as { apis: Record<string, readonly Published[]> }
const below = (prefix: string, routes: readonly Route[]) =>
  routes.map(([method, path, , operation]) => ({ method, path: shape(`${prefix}${path === '/' ? '' : path}`), mode: operation.mode }))
const tables: Readonly<Record<string, { readonly title: string; readonly routes: ReturnType<typeof below> }>> = {
  'code-engine': { title: 'Code Engine v2', routes: below('', codeEngine) },
  'event-notifications': { title: 'Event Notifications v1', routes: below('/v1/instances/:instance', eventNotifications) },
  'iam-identity': { title: 'IAM identity v1', routes: [...below('/v1', identityRoutes), ...below('/v2', policyV2Routes)] },
  'iam-policies': {
    title: 'IAM policy management v1 and v2',
    routes: [...below('/v1/policies', policyV1Routes), ...below('/v1', identityRoutes), ...below('/v2', policyV2Routes)],
  },
  'object-storage': { title: 'Object Storage (S3)', routes: below('', objectStorage) },
  'resource-controller': { title: 'Resource controller v2', routes: below('', resourceController) },
  'resource-manager': { title: 'Resource manager v2', routes: below('', resourceController) },
  'secrets-manager': { title: 'Secrets Manager v2', routes: below('', secretsManager) },
}

const sections: string[] = []
const summary: string[] = []
for (const [api, published] of Object.entries(apis)) {
  const table = tables[api]
  if (table === undefined) throw new Error(`no route table for ${api}`)
  const rows = published.map((row) => ({ ...row, state: stateOf(row, table.routes) }))
  const here = rows.filter(({ state }) => state === 'here').length
  const named = rows.filter(({ state }) => state === '501').length
  summary.push(`| ${table.title} | ${rows.length} | ${here} | ${named} | ${rows.length - here - named} |`)
  sections.push(
    `## ${table.title}\n\n| operation | method | path | state |\n| --- | --- | --- | --- |\n${rows.map((row) => `| ${row.operation} | ${row.method} | \`${row.path}${row.query === undefined ? '' : `?${row.query.join('&')}`}\` | ${row.state} |`).join('\n')}`,
  )
}
const text = `<!-- Made by \`node bin/with-node.js tools/coverage.ts\` from the route tables and the operations of IBM's official Python clients. -->
# What of IBM's APIs is here

\`here\`: it works. \`501\`: it answers 501 and names itself. \`404\`: there is no such path yet.

| API | published | here | 501 | 404 |
| --- | --- | --- | --- | --- |
${summary.join('\n')}

The token endpoint (\`/identity/token\`) knows the grants \`apikey\` and \`cr-token\`; the others answer 501 by name. Within an operation that is
here, kinds that are not (secret types, destination types, secret formats) answer 501 and name themselves too.

${sections.join('\n\n')}
`
const isCheck = process.argv.includes('--check')
const stale = isCheck && read() !== text
if (!isCheck) writeFileSync(FILE, text)
console.log(
  stale
    ? `${FILE} is not what the route tables say. Run: node bin/with-node.js tools/coverage.ts`
    : `coverage: ${Object.values(apis).flat().length} operations`,
)
process.exitCode = stale ? 1 : 0

function stateOf({ method, path, query = [] }: Published, routes: ReturnType<typeof below>): 'here' | '501' | '404' {
  const found = routes.find((route) => route.method === method && route.path === shape(path))
  if (found === undefined) return '404'
  return found.mode === 'not-implemented' || isAbsent(method, query) ? '501' : 'here'
}

/** A path without the names of its parameters. */
function shape(path: string): string {
  return path.replace(/:\w+|\{[\w-]+\}/g, '*').replace(/\/$/, '')
}

function read(): string {
  try {
    return readFileSync(FILE, 'utf8')
  } catch {
    return ''
  }
}
