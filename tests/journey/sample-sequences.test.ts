import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { grep, word } from '../support/awk.ts'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { REVERSES, SPEAKS } from '../support/web-socket.ts'
import { couldNotRun, eventually, freshHome, type Running, startPlatform } from '../support/platform.ts'

/**
 * The commands of IBM's samples for secrets and config maps (as variables, as volumes), WebSocket, app to job and job to app, in their order, with their options,
 * their outputs cut as the scripts cut them. The programs are other ones of the same contract: a name of a registry means the build that made it.
 */
const REGISTRY = 'icr.io/codeengine'
const server = (body: string) => `require('node:http').createServer((request, answer) => { ${body} }).listen(process.env.PORT)\n`
const PROGRAMS: Readonly<Record<string, string>> = {
  'shows-variables': server("for (const [name, value] of Object.entries(process.env)) console.log(name + '=' + value); answer.end()"),
  'shows-files': server(
    "const fs = require('node:fs'); for (const name of fs.readdirSync(process.env.FOLDER)) if (!name.startsWith('.')) console.log(name + ': ' + fs.readFileSync(process.env.FOLDER + '/' + name, 'utf8')); answer.end()",
  ),
  'says-hello': server("answer.end('Hello World')"),
  counts: `let count = 0\n${server("if (request.method === 'GET') answer.end('Count: ' + count); else { count++; answer.end() }")}`,
  'sends-ten': `
const { CE_SUBDOMAIN, CE_REGION } = process.env
const url = 'https://j2a-app.' + CE_SUBDOMAIN + '.private.' + CE_REGION + '.codeengine.appdomain.cloud'
Promise.all(Array.from({ length: 10 }, () => fetch(url, { method: 'POST' }).then(({ ok, status }) => { if (!ok) throw new Error(status) })))
  .then(() => console.log('Done'), (error) => { console.log(error, error.cause); process.exit(1) })
`,
  'sends-ten-inside': `
const url = 'http://j2a-app.' + process.env.CE_SUBDOMAIN + '.svc.cluster.local'
Promise.all(Array.from({ length: 10 }, () => fetch(url, { method: 'POST' }).then(({ ok, status }) => { if (!ok) throw new Error(status) })))
  .then(() => console.log('Done'), (error) => { console.log(error, error.cause); process.exit(1) })
`,
  // By its name, then at the address of the names of its own project, which it cannot know but may guess.
  'knocks-next-door': `
const { NAME, ADDRESS } = process.env
const { request } = require('node:http')
const knock = (host) => new Promise((done) => request({ host, port: 80, agent: false, headers: { host: NAME } }, (answer) => answer.resume().on('end', () => done(answer.statusCode))).on('error', ({ code }) => done(code)).end())
knock(NAME).then(async (first) => console.log('by name: ' + first + ', by address: ' + (await knock(ADDRESS))))
`,
  'ws-server': REVERSES['server.js'],
  'ws-client': SPEAKS['index.js'],
  'shows-index': "console.log('In the job. My JOB_INDEX is: ' + process.env.JOB_INDEX)\n",
  'starts-jobs-inside': `
const { readFileSync } = require('node:fs')
const { request } = require('node:https')
// It trusts what stands beside its token, and nothing else.
const [token, namespace, ca] = ['token', 'namespace', 'ca.crt'].map((name) => readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/' + name, 'utf8'))
const submit = (job) => new Promise((done, fail) => {
  const name = job + '-' + Math.floor(Math.random() * Number.MAX_SAFE_INTEGER)
  const url = 'https://kubernetes.default.svc:443/apis/codeengine.cloud.ibm.com/v1beta1/namespaces/' + namespace + '/jobruns'
  const headers = { 'content-type': 'application/json', authorization: 'Bearer ' + token }
  const run = { apiVersion: 'codeengine.cloud.ibm.com/v1beta1', kind: 'JobRun', metadata: { name, namespace }, spec: { jobDefinitionRef: job } }
  request(url, { ca, method: 'POST', headers }, (answer) => {
    let text = ''
    answer.on('data', (part) => { text += part }).on('end', () => done(answer.statusCode === 201 ? [201, name] : [500, answer.statusCode + text]))
  }).on('error', fail).end(JSON.stringify(run))
})
require('node:http').createServer((request, answer) => {
  if (request.method !== 'PUT') return answer.end()
  submit(request.url.slice(1)).then(([status, text]) => answer.writeHead(status).end(text + '\\n'), (error) => answer.writeHead(500).end(String(error)))
}).listen(process.env.PORT)
`,
  'tries-its-account': `
const { readFileSync, readdirSync } = require('node:fs')
const { request } = require('node:https')
const folder = '/var/run/secrets/kubernetes.io/serviceaccount'
const files = readdirSync(folder)
console.log('files: ' + files.join(' '))
if (files.length > 0) (async () => {
  const [token, namespace, ca] = ['token', 'namespace', 'ca.crt'].map((name) => readFileSync(folder + '/' + name, 'utf8'))
  const ask = (host, method, of) => new Promise((done) => {
    const url = 'https://' + host + '/apis/codeengine.cloud.ibm.com/v1beta1/namespaces/' + of + '/jobruns'
    const headers = { 'content-type': 'application/json', authorization: 'Bearer ' + token }
    request(url, { ca, method, headers }, (answer) => answer.resume().on('end', () => done(answer.statusCode))).on('error', ({ code }) => done(code)).end(method === 'POST' ? '{}' : '')
  })
  console.log('namespace: ' + (namespace === process.env.CE_SUBDOMAIN))
  for (const host of ['kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local']) console.log(host + ': ' + (await ask(host, 'GET', namespace)))
  console.log('makes: ' + (await ask('kubernetes.default.svc', 'POST', namespace)) + ', next door: ' + (await ask('kubernetes.default.svc', 'GET', 'nextdoor')))
})()
`,
  'starts-jobs': `
const { readFileSync } = require('node:fs')
const { CE_PROJECT_ID, CE_REGION, JOB_STARTER } = process.env
async function submit(job) {
  const cr_token = readFileSync('/var/run/secrets/codeengine.cloud.ibm.com/compute-resource-token/token', 'utf8')
  const grant = { grant_type: 'urn:ibm:params:oauth:grant-type:cr-token', cr_token, profile_name: JOB_STARTER }
  const { access_token } = await (await fetch('https://iam.cloud.ibm.com/identity/token', { method: 'POST', body: new URLSearchParams(grant) })).json()
  const made = await fetch('https://api.' + CE_REGION + '.codeengine.cloud.ibm.com/v2/projects/' + CE_PROJECT_ID + '/job_runs', {
    method: 'POST', headers: { authorization: 'Bearer ' + access_token, 'content-type': 'application/json' }, body: JSON.stringify({ job_name: job }),
  })
  return [made.status, (await made.json()).name]
}
require('node:http').createServer((request, answer) => {
  if (request.method !== 'PUT') return answer.end()
  submit(request.url.slice(1)).then(([status, name]) => answer.writeHead(status === 202 ? 201 : 500).end(name), (error) => answer.writeHead(500).end(String(error)))
}).listen(process.env.PORT)
`,
}
const [COUNT, DATA, FILE] = [5, 'MY_DATA1=123\nMY_DATA2=456\n', 'In Congress\nand more\n']

const place = freshHome()
const ibmcloud = ibmcloudOf(place)
const { done } = ibmcloud
const inputs = join(place.home, 'inputs')
let platform: Running
before(async () => {
  platform = await startPlatform(place)
  mkdirSync(inputs)
  writeFileSync(join(inputs, 'data'), DATA)
  writeFileSync(join(inputs, 'file'), FILE)
  for (const [name, program] of Object.entries(PROGRAMS)) {
    const folder = join(place.home, name)
    mkdirSync(folder)
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, scripts: { start: 'node index.js' } }))
    writeFileSync(join(folder, 'index.js'), program)
    await done('ce', 'build', 'create', '--name', name, '--image', `${REGISTRY}/${name}`, '--source', folder)
    await done('ce', 'buildrun', 'submit', '--build', name, '--name', `${name}-run`, '--wait')
  }
})
after(async () => {
  await platform.stop()
  place[Symbol.dispose]()
})

const SMALL = ['--cpu', '0.125', '--memory', '0.25G']
const entries = () => ['--from-literal', 'MY_VALUE=42', '--from-env-file', join(inputs, 'data'), '--from-file', join(inputs, 'file')]
const file = () => ['--from-file', `MY_FILE=${join(inputs, 'file')}`]
const urlOf = async (app: string) => (await done('ce', 'app', 'get', '-n', app, '-o', 'url')).trim()

function ask(url: string, method = 'GET'): Promise<{ status: number; text: string }> {
  const { hostname, port, pathname } = new URL(url)
  return new Promise((resolve, reject) => {
    const headers = { host: `${hostname}:${port}` }
    const asked = request({ host: '127.0.0.1', port, path: pathname, servername: hostname, ca: readFileSync(join(place.home, 'run/ca.pem')), method, headers })
    asked.once('error', reject)
    asked.once('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    asked.end()
  })
}

test('what a build did is read by the name of its run', async () => {
  assert.match(await done('ce', 'buildrun', 'logs', '-n', 'counts-run'), /^counts-run\/step-build:\n(.*\n)*node program, started by: /i)
  assert.match(await done('ce', 'br', 'logs', '--buildrun', 'counts-run', '--raw', '--follow'), /started by/)
})

for (const [kind, from, mount] of [
  ['configmap', '--env-from-configmap', '--mount-configmap'],
  ['secret', '--env-from-secret', '--mount-secret'],
] as const) {
  test(`a ${kind} of all sources is what an app has as its variables`, { timeout: 120_000 }, async () => {
    const [app, data] = [`${kind}-env`, `data-${kind}-env`]
    await done('ce', kind, 'create', '--name', data, ...entries(), ...file())
    await done('ce', 'app', 'create', '-n', app, '--image', `${REGISTRY}/shows-variables`, ...SMALL, from, data)
    assert.equal((await ask(await urlOf(app))).status, 200)
    const out = await logsWith(app, /^MY_FILE=/m)
    assert.equal(grep(out, 'MY_').length, 4, out)
    assert.equal(grep(out, /^file=In Congress/).length, 1, out)
    await done('ce', 'app', 'delete', '-n', app, '-f')
    await done('ce', kind, 'delete', '-n', data, '-f')
  })

  test(`a ${kind} of all sources is what an app has as its files`, { timeout: 120_000 }, async () => {
    const [app, data] = [`${kind}-vol`, `data-${kind}-vol`]
    await done('ce', kind, 'create', '--name', data, ...entries(), ...file())
    await done('ce', 'app', 'create', '-n', app, '--image', `${REGISTRY}/shows-files`, `${mount}`, `/my${kind}=${data}`, ...SMALL, '--env', `FOLDER=/my${kind}`)
    assert.equal((await ask(await urlOf(app))).status, 200)
    const name = word(grep(await done('ce', 'app', 'get', '-n', app), new RegExp(`${app}.*Running`))[0] ?? '', 1)
    const out = await eventually('the files are in the log', async () => {
      const text = await done('ce', 'app', 'logs', '--instance', name)
      return /^MY_VALUE/m.test(text) && text
    })
    assert.equal(grep(out, 'MY_').length, 4, out)
    assert.equal(grep(out, /^file: In Congress/).length, 1, out)
    await done('ce', 'app', 'delete', '-n', app, '-f')
    await done('ce', kind, 'delete', '-n', data, '-f')
  })
}

async function logsWith(app: string, wanted: RegExp): Promise<string> {
  return await eventually(`${app} has written ${wanted}`, async () => {
    const text = await done('ce', 'app', 'logs', '-n', app)
    return wanted.test(text) && text
  })
}

test('an app says hello, and a job of an image without a definition runs', { timeout: 120_000 }, async () => {
  await done('ce', 'app', 'create', '-n', 'hello', '--image', `${REGISTRY}/says-hello`)
  assert.equal((await ask(await urlOf('hello'))).text, 'Hello World')
  await done('ce', 'app', 'delete', '-n', 'hello', '-f')
  await done('ce', 'jobrun', 'submit', '--name', 'hi-job', '--ai=1', '--image', `${REGISTRY}/shows-index`, '--wait')
  assert.match(await done('ce', 'jobrun', 'logs', '-n', 'hi-job'), /My JOB_INDEX is: 1/)
})

test('a job sends ten requests from each index to an app, which has counted all of them', { timeout: 120_000 }, async () => {
  if (platform.ports.fixedNames === null) return couldNotRun('the sequence of job to app', "port 443 of the platform's own address cannot be had")
  await done('ce', 'app', 'create', '-n', 'j2a-app', '--min=1', '--max=1', ...SMALL, '--image', `${REGISTRY}/counts`)
  const url = await urlOf('j2a-app')
  await done('ce', 'jobrun', 'submit', '-n', 'j2a-job', `--ai=1-${COUNT}`, ...SMALL, '--image', `${REGISTRY}/sends-ten`, '--wait')
  assert.equal((await ask(url)).text, `Count: ${COUNT * 10}`, await done('ce', 'jobrun', 'logs', '-n', 'j2a-job'))
  await done('ce', 'jobrun', 'delete', '-n', 'j2a-job', '-f')
  await done('ce', 'app', 'delete', '-n', 'j2a-app', '-f')
})

test(
  "an app is reached in plain HTTP by the cluster's name from its own project, whatever its visibility, and from no other",
  { timeout: 120_000 },
  async () => {
    const address = platform.ports.clusterNames
    if (address === null) return couldNotRun("the names of the project's apps", "port 80 of the platform's own address cannot be had")
    await done('ce', 'app', 'create', '-n', 'j2a-app', '--min=1', '--max=1', '--visibility', 'project', ...SMALL, '--image', `${REGISTRY}/counts`)
    const url = (await done('ce', 'app', 'get', '-n', 'j2a-app', '-o', 'project-url')).trim()
    assert.match(url, /^http:\/\/j2a-app\.[a-z0-9]+\.svc\.cluster\.local$/)
    await done('ce', 'jobrun', 'submit', '-n', 'j2a-job', `--ai=1-${COUNT}`, ...SMALL, '--image', `${REGISTRY}/sends-ten-inside`, '--wait')
    const privately = `https://j2a-app.${url.split('.')[1]}.private.everleaf.localhost:${platform.ports.private}`
    assert.equal((await ask(privately)).text, `Count: ${COUNT * 10}`, await done('ce', 'jobrun', 'logs', '-n', 'j2a-job'))
    const knock = async (name: string) => {
      const knocking = ['-e', `NAME=${new URL(url).hostname}`, '-e', `ADDRESS=${address}`, '--image', `${REGISTRY}/knocks-next-door`]
      await done('ce', 'jobrun', 'submit', '-n', name, ...knocking, '--wait')
      return (await done('ce', 'jobrun', 'logs', '-n', name, '--raw')).trim()
    }
    assert.equal(await knock('own'), 'by name: 200, by address: 200')
    await done('ce', 'project', 'create', '--name', 'next-door')
    await done('ce', 'build', 'create', '--name', 'knocks', '--image', `${REGISTRY}/knocks-next-door`, '--source', join(place.home, 'knocks-next-door'))
    await done('ce', 'buildrun', 'submit', '--build', 'knocks', '--wait')
    const byAddress = process.getuid?.() === 0 ? 404 : 200
    assert.match(await knock('other'), new RegExp(`^by name: (ENOTFOUND|EAI_AGAIN), by address: ${byAddress}$`))
    await done('ce', 'project', 'delete', '-n', 'next-door', '-f')
    const outside = await new Promise((resolve, reject) => {
      get({ host: address, agent: false, headers: { host: new URL(url).hostname } }, (answer) => {
        answer.resume().once('end', () => resolve(answer.statusCode))
      }).once('error', reject)
    })
    assert.equal(outside, byAddress)
    await done('ce', 'jobrun', 'delete', '-n', 'j2a-job', '-f')
    await done('ce', 'app', 'delete', '-n', 'j2a-app', '-f')
  },
)

test('a job opens a WebSocket to an app, and ten messages go and come', { timeout: 120_000 }, async () => {
  await done('ce', 'app', 'create', '-n', 'ws-server', '--image', `${REGISTRY}/ws-server`, ...SMALL)
  const url = (await urlOf('ws-server')).replace('https', 'wss')
  await done('ce', 'jobrun', 'submit', '-n', 'ws-client', '--image', `${REGISTRY}/ws-client`, ...SMALL, '--arg', url, '--wait')
  assert.equal(grep(await done('ce', 'jobrun', 'get', '-n', 'ws-client'), /client-0-0 .* Succeeded/).length, 1)
  assert.equal(grep(await done('ce', 'jobrun', 'logs', '-n', 'ws-client'), /Client read.*0987654321/).length, 10)
  await done('ce', 'app', 'delete', '-n', 'ws-server', '-f')
  await done('ce', 'jobrun', 'delete', '-n', 'ws-client', '-f')
})

test('an app starts a job by its trusted profile, and all indices run', { timeout: 120_000 }, async () => {
  if (platform.ports.fixedNames === null) return couldNotRun('the sequence of app to job', "port 443 of the platform's own address cannot be had")
  const project = platform.env.CODE_ENGINE_PROJECT_ID ?? ''
  const crn = (await done('resource', 'service-instance', project, '--crn', '-q')).trim()
  await done('iam', 'trusted-profile-create', 'job-starter')
  const link = ['--name', 'app', '--cr-type', 'CE', '--link-crn', crn, '--link-component-type', 'application', '--link-component-name', 'a2j-app']
  await done('iam', 'trusted-profile-link-create', 'job-starter', ...link)
  await done('iam', 'trusted-profile-policy-create', 'job-starter', '--roles', 'Writer', '--service-name', 'codeengine', '--service-instance', project)
  const trusted = ['--trusted-profiles-enabled', '--env', 'JOB_STARTER=job-starter']
  await startJobFromApp('starts-jobs', ...trusted)
})

test('an app starts a job by the API of Kubernetes with its service account, and all indices run', { timeout: 120_000 }, async () => {
  if (platform.ports.fixedNames === null) return couldNotRun('the sequence of app2job', "port 443 of the platform's own address cannot be had")
  await startJobFromApp('starts-jobs-inside')
})

/** The commands of app2job over an app of this image, whose options beside are `more`. */
async function startJobFromApp(image: string, ...more: readonly string[]): Promise<void> {
  await done('ce', 'app', 'create', '-n', 'a2j-app', '--cpu', '.125', '--memory', '0.25G', '--image', `${REGISTRY}/${image}`, ...more)
  const url = await urlOf('a2j-app')
  await done('ce', 'job', 'create', '-n', 'a2j-job', `--ai=1-${COUNT}`, '--cpu', '.125', '--memory', '0.25G', '--image', `${REGISTRY}/shows-index`)
  const { status, text } = await ask(`${url}/a2j-job`, 'PUT')
  assert.equal(status, 201, text)
  const jobrun = text.trim()
  assert.match(jobrun, /^a2j-job-/)
  await eventually(
    'all indices have succeeded',
    async () => grep(await done('ce', 'jobrun', 'get', '-n', jobrun), new RegExp(`Succeeded.*${COUNT}`)).length > 0,
  )
  assert.match(await done('ce', 'jobrun', 'logs', '-i', `${jobrun}-${COUNT}-0`), new RegExp(`JOB_INDEX.*${COUNT}`))
  await done('ce', 'job', 'delete', '-n', 'a2j-job', '-f')
  await done('ce', 'app', 'delete', '-n', 'a2j-app', '-f')
}

test('what an instance finds of its service account, and may do with it, is what its workload asks for', { timeout: 120_000 }, async () => {
  if (platform.ports.fixedNames === null) return couldNotRun('service accounts in instances', "port 443 of the platform's own address cannot be had")
  const tried = async (account: string) => {
    await done('ce', 'jobrun', 'submit', '-n', `is-${account}`, '--service-account', account, '--image', `${REGISTRY}/tries-its-account`, '--wait')
    const lines = (await done('ce', 'jobrun', 'logs', '-n', `is-${account}`, '--raw')).trim()
    await done('ce', 'jobrun', 'delete', '-n', `is-${account}`, '-f')
    return lines.split('\n')
  }
  const inside = ['files: ca.crt namespace token', 'namespace: true', ...['', '.svc', '.svc.cluster.local'].map((rest) => `kubernetes.default${rest}: 200`)]
  assert.deepEqual(await tried('reader'), [...inside, 'makes: 403, next door: 403'])
  assert.deepEqual(await tried('writer'), [...inside, 'makes: 422, next door: 403'])
  assert.deepEqual(await tried('none'), ['files:'])
})

test('an image that no build made is refused by name', { timeout: 120_000 }, async () => {
  for (const words of [
    ['app', 'create', '-n', 'absent', '--image', `${REGISTRY}/never`],
    ['jobrun', 'submit', '-n', 'absent', '--image', `${REGISTRY}/never`, '--wait'],
  ]) {
    const { status, stderr } = await ibmcloud('ce', ...words)
    assert.equal(status, 1)
    assert.match(stderr, /Images from registries do not exist in this engine/)
  }
})
