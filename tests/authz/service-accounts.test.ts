import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { kubernetesRoutes } from '@everleaf/code-engine/routes'
import { freshHome, type Running, startPlatform } from '../support/platform.ts'
import { withHome } from './home-at-rest.ts'
import { accountOf, call } from './places.ts'

const HOUR_MS = 3_600_000
const API = 'codeengine.cloud.ibm.com/v1beta1'
const home = freshHome()
let platform: Running
/** Tokens of service accounts, by what is special about them; all but those of a name say `writer` of the job `worker`. */
let tokens: Readonly<Record<string, string>>
/** An access token of a caller with every right. */
let owner: string
/** The namespace that the tokens are for, and that of another project of the account. */
let [own, other] = ['', '']

before(async () => {
  platform = await startPlatform(home)
  const { apikey } = JSON.parse(readFileSync(join(home.home, 'login.json'), 'utf8')) as { apikey: string }
  const project = platform.env.CODE_ENGINE_PROJECT_ID ?? ''
  const projects = `${platform.env.CODE_ENGINE_URL}/projects`
  const second = String((await platform.api('POST', projects, { name: 'second' })).body.id)
  const [first, next] = [await projectOf(project), await projectOf(second)]
  own = first.namespace
  other = next.namespace
  for (const name of ['worker', 'second-worker'])
    assert.equal((await platform.api('POST', `${projects}/${project}/jobs`, { name, image_reference: 'icr.io/me/nothing' })).status, 201)
  const account = accountOf(await platform.token())
  await platform.stop()
  const issue = (over: { serviceAccount?: string; project?: string; job?: string } = {}, offsetMs = 0) =>
    withHome(home.home, { offsetMs }, async ({ iam }) => {
      const { serviceAccount = 'writer', project: projectId = project, job: componentName = 'worker' } = over
      const { crn: projectCrn, namespace } = projectId === project ? first : next
      const component = { projectCrn, componentType: 'job', componentName, account, projectId, projectName: 'p', region: 'us-south', instance: 'i' }
      return iam.serviceAccountToken({ ...component, namespace, serviceAccount }).token
    })
  tokens = {
    writer: await issue(),
    reader: await issue({ serviceAccount: 'reader' }),
    'another job': await issue({ job: 'second-worker' }),
    'another project': await issue({ project: second }),
    'an expired one': await issue({}, -2 * HOUR_MS),
    'one of the future': await issue({}, 2 * HOUR_MS),
    'a compute resource token': await withHome(home.home, {}, async ({ iam }) => {
      const component = { projectCrn: first.crn, componentType: 'job', componentName: 'worker' }
      return iam.computeResourceToken({ ...component, account, projectId: project, projectName: 'p', region: 'us-south', instance: 'i' }).token
    }),
  }
  owner = await withHome(home.home, {}, ({ token }) => token(apikey))
  platform = await startPlatform(home)
})
after(async () => {
  await platform.stop()
  home[Symbol.dispose]()
})

async function projectOf(id: string): Promise<{ crn: string; namespace: string }> {
  const { body, headers } = await platform.api('GET', `${platform.env.CODE_ENGINE_URL}/projects/${id}`)
  return { crn: String(body.crn), namespace: headers.get('everleaf-subdomain') ?? '' }
}

const base = () => `http://127.0.0.1:${platform.ports.api}/kubernetes`
const runsOf = (namespace: string) => `${base()}/apis/${API}/namespaces/${namespace}/jobruns`
const objectOf = (name: string) => ({ apiVersion: API, kind: 'JobRun', metadata: { name }, spec: { jobDefinitionRef: 'worker' } })
const statusOf = async (method: string, url: string, options: { token?: string | undefined; body?: unknown }) => {
  const { status, text } = await call(method, url, options)
  return [status, (JSON.parse(text) as { reason?: string }).reason] as const
}

test('a service account makes, reads and deletes job runs of its own project, like the REST API', async () => {
  const token = tokens.writer
  assert.deepEqual(await statusOf('POST', runsOf(own), { token, body: objectOf('one') }), [201, undefined])
  assert.equal((await statusOf('GET', `${runsOf(own)}/one`, { token }))[0], 200)
  assert.equal(
    (await platform.api('GET', `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}/job_runs/one`)).body.job_name,
    'worker',
  )
  assert.equal((await statusOf('DELETE', `${runsOf(own)}/one`, { token }))[0], 200)
})

test('a reader reads, and makes and deletes nothing', async () => {
  const token = tokens.reader
  assert.equal((await statusOf('POST', runsOf(own), { token: tokens.writer, body: objectOf('kept') }))[0], 201)
  assert.equal((await statusOf('GET', `${runsOf(own)}/kept`, { token }))[0], 200)
  assert.deepEqual(await statusOf('POST', runsOf(own), { token, body: objectOf('two') }), [403, 'Forbidden'])
  assert.deepEqual(await statusOf('DELETE', `${runsOf(own)}/kept`, { token }), [403, 'Forbidden'])
  assert.equal((await statusOf('GET', `${runsOf(own)}/kept`, { token }))[0], 200)
})

test('the namespace of another project is refused like one that nobody has, for every verb', async () => {
  for (const [token, namespace] of [
    [tokens.writer, other],
    [tokens['another project'], own],
    [tokens.writer, 'nobody'],
  ] as const)
    for (const [method, path] of [
      ['GET', ''],
      ['POST', ''],
      ['GET', '/one'],
      ['DELETE', '/one'],
    ] as const)
      assert.deepEqual(await statusOf(method, runsOf(namespace) + path, { token, body: objectOf('two') }), [403, 'Forbidden'], `${method} ${namespace}`)
})

test('no operation takes a token that is not of a service account and of now', async () => {
  const bad = [undefined, owner, tokens['an expired one'], tokens['one of the future'], tokens['a compute resource token'], 'garbage']
  for (const [method, path] of kubernetesRoutes) {
    const url = base() + path.replace(':namespace', own).replace(':name', 'one').replace('*', 'v1/pods')
    for (const token of bad) assert.deepEqual(await statusOf(method, url, { token, body: {} }), [401, 'Unauthorized'], `${method} ${path}`)
  }
})

test('the token of a service account is none for the other APIs, and for no grant', async () => {
  const token = tokens.writer ?? ''
  for (const url of [
    `${platform.env.CODE_ENGINE_URL}/projects`,
    `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`,
    `${platform.env.RESOURCE_CONTROLLER_URL}/v2/resource_instances`,
  ])
    assert.equal((await call('GET', url, { token })).status, 401, url)
  const form = { grant_type: 'urn:ibm:params:oauth:grant-type:cr-token', cr_token: token, profile_name: 'everleaf-cli' }
  assert.equal((await fetch(`${platform.env.IAM_AUTH_URL}/identity/token`, { method: 'POST', body: new URLSearchParams(form) })).status, 400)
})

test('a deleted job takes its tokens with it, and those of no other', async () => {
  const jobs = `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}/jobs`
  assert.equal((await statusOf('GET', runsOf(own), { token: tokens['another job'] }))[0], 200)
  assert.equal((await platform.api('DELETE', `${jobs}/second-worker`)).status, 202)
  assert.deepEqual(await statusOf('GET', runsOf(own), { token: tokens['another job'] }), [401, 'Unauthorized'])
  assert.equal((await statusOf('GET', runsOf(own), { token: tokens.writer }))[0], 200)
})

test('the public door has no such name', async () => {
  const { connect } = await import('node:tls')
  const host = 'kubernetes.default.svc'
  const answer = (port: number) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, servername: host, rejectUnauthorized: false }, () => {
        socket.write(`GET /apis HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      })
      let text = ''
      socket
        .on('data', (part: Buffer) => {
          text += part.toString()
        })
        .on('end', () => resolve(text.split('\r\n')[0] ?? ''))
        .on('error', reject)
    })
  assert.match(await answer(platform.ports.private), / 401 /)
  assert.match(await answer(platform.ports.public), / 421 /)
})
