import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { build } from 'esbuild'
import { jobsOf } from '../support/jobs.ts'
import { deploy } from '../support/pipeline.ts'
import { couldNotRun, freshHome, ROOT, type Running, startPlatform } from '../support/platform.ts'

const VENV = join(ROOT, 'tests/conformance/.venv')
const PROFILE = 'reader'
const place = freshHome()
let platform: Running

/** An app that asks IBM's Node SDK for a token; nothing is set but the profile's name, and where 443 cannot be had the endpoint. */
const NODE_APP = `
import { ContainerAuthenticator } from 'ibm-cloud-sdk-core'
import { createServer } from 'node:http'
createServer(async (request, response) => {
  try {
    const options = { headers: {} }
    await new ContainerAuthenticator({ iamProfileName: process.env.TRUSTED_PROFILE_NAME, ...(process.env.ENDPOINT ? { url: process.env.ENDPOINT } : {}) }).authenticate(options)
    response.end(JSON.stringify({ token: String(options.headers.Authorization || options.headers.get('Authorization')) }))
  } catch (error) { response.statusCode = 500; response.end(String(error && error.stack)) }
}).listen(process.env.PORT)
`
/** The same with IBM's Python SDK, started by a Node app since builds of Python do not exist yet. */
const PYTHON = `
import os, json
from ibm_cloud_sdk_core.authenticators import ContainerAuthenticator
a = ContainerAuthenticator(iam_profile_name=os.environ['TRUSTED_PROFILE_NAME'], **({'url': os.environ['ENDPOINT']} if os.environ.get('ENDPOINT') else {}))
r = {'headers': {}}
a.authenticate(r)
print(json.dumps({'token': r['headers']['Authorization']}))
`

before(async () => {
  platform = await startPlatform(place)
  const { env, api } = platform
  const { account } = JSON.parse(Buffer.from((await platform.token()).split('.')[1] ?? '', 'base64url').toString()) as { account: { bss: string } }
  const profile = await api('POST', `${env.IAM_IDENTITY_URL}/v1/profiles`, { name: PROFILE, account_id: account.bss })
  const { body: project } = await api('GET', `${env.CODE_ENGINE_URL}/projects/${env.CODE_ENGINE_PROJECT_ID}`)
  for (const name of ['node-app', 'python-app'])
    assert.equal(
      (
        await api('POST', `${env.IAM_IDENTITY_URL}/v1/profiles/${profile.body.id}/links`, {
          cr_type: 'CE',
          name,
          link: { crn: project.crn, component_type: 'application', component_name: name },
        })
      ).status,
      201,
    )
})
after(async () => {
  await platform.stop()
  place[Symbol.dispose]()
})

function ask(endpoint: string): Promise<{ status: number; text: string }> {
  const url = new URL(endpoint)
  return new Promise((resolve, reject) => {
    request(
      { host: '127.0.0.1', port: url.port, servername: url.hostname, headers: { host: url.host }, rejectUnauthorized: false, agent: false },
      (response) => {
        let text = ''
        response.on('data', (chunk) => {
          text += chunk
        })
        response.once('end', () => resolve({ status: response.statusCode ?? 0, text }))
      },
    )
      .once('error', reject)
      .end()
  })
}

function settings(): Record<string, unknown> {
  const literal = (name: string, value: string) => ({ type: 'literal', name, value })
  const endpoint = platform.ports.fixedNames === null ? [literal('ENDPOINT', `https://iam.everleaf.localhost:${platform.ports.private}`)] : []
  return { run_compute_resource_token_enabled: true, run_env_variables: [literal('TRUSTED_PROFILE_NAME', PROFILE), ...endpoint] }
}

function assertProfileToken({ status, text }: { status: number; text: string }): void {
  assert.equal(status, 200, text)
  const { token } = JSON.parse(text) as { token: string }
  const claims = JSON.parse(Buffer.from(token.replace('Bearer ', '').split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
  assert.equal(claims.name, PROFILE)
  assert.equal(claims.sub_type, 'Profile')
}

test("in an instance, IBM's Node ContainerAuthenticator gets a token with nothing but the profile's name", { timeout: 120_000 }, async () => {
  const { outputFiles } = await build({
    stdin: { contents: NODE_APP, resolveDir: ROOT },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    write: false,
    logLevel: 'error',
  })
  const endpoint = await deploy(platform, 'node-app', { 'server.js': outputFiles[0]?.text ?? '' }, settings())
  assertProfileToken(await ask(endpoint))
})

const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

/** The same as a job: one answer, then the end. */
const NODE_JOB = `
import { ContainerAuthenticator } from 'ibm-cloud-sdk-core'
const options = { headers: {} }
await new ContainerAuthenticator({ iamProfileName: process.env.TRUSTED_PROFILE_NAME, ...(process.env.ENDPOINT ? { url: process.env.ENDPOINT } : {}) }).authenticate(options)
console.log(JSON.stringify({ token: String(options.headers.Authorization || options.headers.get('Authorization')) }))
`

test(
  "in an index of a job, IBM's Node ContainerAuthenticator gets a token where the profile's link names the job; other jobs get none",
  { timeout: 120_000 },
  async () => {
    const { env, api } = platform
    const { outputFiles } = await build({
      stdin: { contents: NODE_JOB, resolveDir: ROOT },
      bundle: true,
      platform: 'node',
      format: 'esm',
      banner: { js: REQUIRE },
      write: false,
      logLevel: 'error',
    })
    const { body: project } = await api('GET', `${env.CODE_ENGINE_URL}/projects/${env.CODE_ENGINE_PROJECT_ID}`)
    const link = { cr_type: 'CE', name: 'linked', link: { crn: project.crn, component_type: 'job', component_name: 'linked' } }
    const profiles = (await api('GET', `${env.IAM_IDENTITY_URL}/v1/profiles?account_id=${project.account_id}&name=${PROFILE}`)).body.profiles as {
      id: string
    }[]
    assert.equal((await api('POST', `${env.IAM_IDENTITY_URL}/v1/profiles/${profiles[0]?.id}/links`, link)).status, 201)
    const jobs = jobsOf(platform)
    const image_reference = await jobs.image('asks', {
      'index.mjs': outputFiles[0]?.text ?? '',
      'package.json': '{"name":"asks","scripts":{"start":"node index.mjs"}}',
    })
    for (const name of ['linked', 'other']) await jobs.create({ name, image_reference, scale_retry_limit: 0, ...settings() })
    const linked = await jobs.over((await jobs.submit({ job_name: 'linked' })).name)
    assert.equal(linked.status, 'completed', JSON.stringify(await jobs.logs(linked.name)))
    const [line] = await jobs.logs(linked.name)
    assertProfileToken({ status: 200, text: line?.message ?? '' })
    const other = await jobs.over((await jobs.submit({ job_name: 'other' })).name)
    assert.equal(other.status, 'failed')
    assert.match(JSON.stringify(await jobs.logs(other.name)), /BXNIM0438E/)
  },
)

test("in an instance, IBM's Python ContainerAuthenticator gets a token with nothing but the profile's name", { timeout: 120_000 }, async () => {
  const python = '/usr/bin/python3'
  const packages = join(VENV, `lib/${existsSync(join(VENV, 'lib')) ? readVersion() : 'none'}/site-packages`)
  if (!existsSync(packages) || !existsSync(python)) return couldNotRun("IBM's Python ContainerAuthenticator", 'run tools/system-packages')
  const files: Record<string, string> = { 'ask.py': PYTHON }
  for (const name of ['ibm_cloud_sdk_core', 'requests', 'urllib3', 'idna', 'certifi', 'charset_normalizer', 'jwt', 'dateutil']) addPython(files, packages, name)
  files['six.py'] = existsSync(join(packages, 'six.py')) ? readFileSync(join(packages, 'six.py'), 'utf8') : ''
  files['server.js'] = `
const { execFile } = require('child_process')
require('http').createServer((request, response) => execFile('${python}', ['ask.py'], { env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } }, (error, out, err) => {
  if (error) response.statusCode = 500
  response.end(error ? String(err) : out.trim())
})).listen(process.env.PORT)`
  const endpoint = await deploy(platform, 'python-app', files, settings())
  assertProfileToken(await ask(endpoint))
})

function readVersion(): string {
  return (
    process
      .getBuiltinModule('node:fs')
      .readdirSync(join(VENV, 'lib'))
      .find((name) => name.startsWith('python')) ?? 'none'
  )
}

/** Only the text files of a package: compiled parts have pure twins. */
function addPython(files: Record<string, string>, packages: string, name: string): void {
  const fs = process.getBuiltinModule('node:fs')
  const folder = join(packages, name)
  if (!existsSync(folder)) return
  for (const entry of fs.readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile() && /\.(py|pem|json)$/.test(entry.name)) files[path.slice(packages.length + 1)] = readFileSync(path, 'utf8')
  }
}
