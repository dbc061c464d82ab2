import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { chainMaker } from '../support/certificates.ts'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { eventually, freshHome, type Running, startPlatform } from '../support/platform.ts'

type Variable = { name?: string; value?: string; reference?: string }

const LIMIT = { timeout: 120_000 }
const place = freshHome()
const ibmcloud = ibmcloudOf(place)
const { done, json } = ibmcloud
const source = join(place.home, 'source')
let platform: Running
/** Who asks a registry of packages that never answers. */
const asking = new Set<Socket>()
const registry = createServer((socket) => {
  asking.add(socket)
  socket
    .resume()
    .on('error', () => {})
    .on('close', () => asking.delete(socket))
})
before(async () => {
  await new Promise<void>((open) => registry.listen(0, '127.0.0.1', open))
  const { port } = registry.address() as AddressInfo
  platform = await startPlatform({ ...place, env: { npm_config_registry: `http://127.0.0.1:${port}/` } })
  mkdirSync(source)
  writeFileSync(join(source, 'package.json'), '{"name":"program","main":"index.js","scripts":{"start":"node index.js"}}')
  writeFileSync(
    join(source, 'index.js'),
    `const { PORT, JOB_INDEX, GREETING, TOKEN } = process.env
if (JOB_INDEX !== undefined) console.log('Hello from job ' + JOB_INDEX + ' ' + GREETING)
if (GREETING === 'stays') setInterval(() => {}, 60_000)
if (JOB_INDEX === undefined) require('node:http').createServer((_, answer) => answer.end(GREETING)).listen(PORT, () => console.log('listening with ' + GREETING + ' ' + TOKEN))
`,
  )
})
after(async () => {
  await platform.stop()
  registry.close()
  place[Symbol.dispose]()
})

test('an app is built from a folder, answers with its variables, logs, changes and goes, as scripts type it', LIMIT, async () => {
  const file = join(place.home, 'token')
  writeFileSync(file, 'hidden\n', { mode: 0o600 })
  await done('ce', 'secret', 'create', '--name', 'app-secret', '--from-literal', `TOKEN=@${file}`, '--quiet')
  const app = ['--name', 'app', '--build-strategy=buildpacks', '--build-source', source, '-e', 'GREETING=hi', '--env-from-secret', 'app-secret']
  assert.match(await done('ce', 'application', 'create', ...app, '--min=1'), /Submitting build run[\s\S]*Waiting for the application[\s\S]*OK/)
  const url = (await done('ce', 'app', 'get', '-n', 'app', '-o', 'url')).trim()
  assert.match(url, /^https:\/\/app\.\S+$/)
  for (const template of ['{.status.url}', '.status.url']) assert.equal((await done('ce', 'app', 'get', '-n', 'app', '-o', `jsonpath=${template}`)).trim(), url)
  const { status, spec } = await json<{ status: { url: string }; spec: { template: { spec: { containers: { env: Variable[] }[] } } } }>(
    'ce',
    'app',
    'get',
    '-n',
    'app',
  )
  assert.equal(status.url, url)
  assert.ok(spec.template.spec.containers[0]?.env.some(({ name, value }) => name === 'GREETING' && value === 'hi'))
  assert.ok(spec.template.spec.containers[0]?.env.some(({ reference }) => reference === 'app-secret'))
  const line = (await done('ce', 'app', 'get', '-n', 'app')).split('\n').find((one) => /app-.*Running/.test(one)) ?? ''
  const instance = line.trim().split(/\s+/)[0] ?? ''
  assert.match(instance, /^app-00001-/)
  assert.match(await done('ce', 'app', 'events', '--n', 'app'), new RegExp(`${instance}`))
  assert.match(await done('ce', 'app', 'logs', '--n', 'app'), /^app-00001-\S+\/user-container:\n(.*\n)*listening with hi hidden\n/)
  assert.match(await done('ce', 'app', 'logs', '--instance', instance, '--raw', '--tail', '1'), /^listening with hi hidden\n$/)
  await done('ce', 'app', 'update', '-n', 'app', '-e', 'GREETING=ho', '--env-from-secret-rm', 'app-secret')
  const values = await done('ce', 'app', 'get', '-n', 'app', '-o', 'jsonpath={.spec.template.spec.containers[0].env[*].value}')
  assert.match(values, /(^| )ho( |$)/m)
  assert.doesNotMatch(await done('ce', 'app', 'get', '-n', 'app', '-o', 'yaml'), /app-secret|value: hi$/m)
  assert.match(await done('ce', 'app', 'list'), new RegExp(`^app +ready +${url} `, 'm'))
  await done('ce', 'app', 'delete', '-n', 'app', '-f', '--ignore-not-found')
  await done('ce', 'app', 'delete', '-n', 'app', '-f', '--ignore-not-found')
  assert.equal((await ibmcloud('ce', 'app', 'delete', '-n', 'app', '-f')).status, 1)
})

test('a job runs with all its indices, and what each wrote is found by its name', LIMIT, async () => {
  await done(
    'ce',
    'job',
    'create',
    '--name',
    'hello',
    '--build-source',
    source,
    '--array-indices=1-3',
    '--env',
    'GREETING=you',
    '--cpu',
    '.125',
    '--memory',
    '0.25G',
  )
  await done('ce', 'jobrun', 'submit', '--name', 'hello-doit', '--job', 'hello', '--wait')
  assert.match(await done('ce', 'jobrun', 'get', '-n', 'hello-doit'), /Succeeded.*3/)
  assert.match(await done('ce', 'jobrun', 'logs', '-i', 'hello-doit-3-0'), /^hello-doit-3-0\/hello:\nHello from job 3 you\n$/)
  const all = await done('ce', 'jobrun', 'logs', '--n', 'hello-doit', '--follow')
  assert.deepEqual([...all.matchAll(/Hello from job (\d) you/g)].map(([, index]) => index).sort(), ['1', '2', '3'])
  const { metadata } = await json<{ metadata: { name: string } }>('ce', 'jobrun', 'resubmit', '--jobrun', 'hello-doit', '--ai=7', '-e', 'GREETING=me', '-w')
  assert.match(await done('ce', 'jobrun', 'logs', '-n', metadata.name), /Hello from job 7 me/)
  assert.match(await done('ce', 'jobrun', 'list', '--job', 'hello'), /^hello-doit +0 +0 +3 +0 +3 +0 +hello /m)
  await done('ce', 'jobrun', 'delete', '--job', 'hello', '-f')
  assert.deepEqual((await json<{ items: unknown[] }>('ce', 'jobrun', 'list', '--job', 'hello')).items, [])
  assert.equal((await ibmcloud('ce', 'jobrun', 'delete', '--job', 'hello', '-f')).status, 1, 'there was none to delete')
  await done('ce', 'jobrun', 'delete', '--job', 'hello', '-f', '--inf')
  assert.equal((await ibmcloud('ce', 'jobrun', 'delete', '--job', 'hello', '--name', 'hello-doit', '-f')).status, 2)
  await done('ce', 'job', 'delete', '-n', 'hello', '-f')
})

test('instances of an app are replaced by a restart, one or all, and it goes on answering', LIMIT, async () => {
  await done('ce', 'app', 'create', '--name', 'again', '--build-source', source, '-e', 'GREETING=hi', '--min=2', '--max=4')
  type Instance = { name: string; status: string }
  const { CODE_ENGINE_URL: url, CODE_ENGINE_PROJECT_ID: project } = platform.env
  const instances = async () =>
    ((await platform.api('GET', `${url}/projects/${project}/apps/again/instances`)).body.instances as Instance[])
      .filter(({ status }) => status === 'running')
      .map(({ name }) => name)
      .sort()
  const [kept = '', gone = ''] = await eventually('two run', async () => ((await instances()).length === 2 ? instances() : undefined))
  await done('ce', 'app', 'restart', '--instance', gone)
  const two = await eventually('one is another', async () => {
    const now = await instances()
    return now.length === 2 && !now.includes(gone) && now
  })
  assert.ok(two.includes(kept), `${kept} was to stay: ${two.join(', ')}`)
  await done('ce', 'application', 'restart', '--name', 'again')
  await eventually('both are others', async () => {
    const now = await instances()
    return now.length === 2 && now.every((name) => !two.includes(name))
  })
  const { status, stderr } = await ibmcloud('ce', 'app', 'restart', '--instance', gone)
  assert.deepEqual([status, /No instance named/.test(stderr)], [1, true], stderr)
  await done('ce', 'app', 'delete', '-n', 'again', '-f')
})

test('the running indices of a job run begin again by a restart, which is no retry', LIMIT, async () => {
  await done('ce', 'job', 'create', '--name', 'waits', '--build-source', source, '-e', 'GREETING=stays', '--ai=0-1', '--retrylimit', '0')
  await done('ce', 'jobrun', 'submit', '--name', 'waits-run', '--job', 'waits')
  const heard = async () => (await done('ce', 'jobrun', 'logs', '-n', 'waits-run', '--raw')).split('\n').filter((line) => /^Hello from job/.test(line))
  await eventually('both run', async () => (await heard()).length === 2)
  await done('ce', 'jobrun', 'restart', '--instance', 'waits-run-1-0')
  await eventually('one has begun again', async () => (await heard()).length === 3)
  assert.equal((await heard()).filter((line) => line === 'Hello from job 1 stays').length, 2)
  await done('ce', 'jr', 'restart', '-n', 'waits-run')
  await eventually('both have begun again', async () => (await heard()).length === 5)
  assert.match(await done('ce', 'jobrun', 'get', '-n', 'waits-run'), /Running: +2[\s\S]*^waits-run-1-0 +1\/1 +Running +0$/m)
  await done('ce', 'job', 'delete', '-n', 'waits', '-f')
})

test('a build run is cancelled: its tools end, what it was to make is not made, and its events say so', LIMIT, async () => {
  const slow = join(place.home, 'slow')
  mkdirSync(slow)
  writeFileSync(join(slow, 'package.json'), '{"name":"slow","main":"index.js","dependencies":{"waited-for":"1.0.0"}}')
  writeFileSync(join(slow, 'index.js'), '')
  await done('ce', 'build', 'create', '-n', 'slow', '--source', slow)
  await done('ce', 'buildrun', 'submit', '-n', 'slow-run', '--build', 'slow')
  await eventually('npm waits for its registry', () => asking.size > 0)
  assert.match(await done('ce', 'buildrun', 'events', '-n', 'slow-run'), /^Normal +Started .* slow-run /m)
  await done('ce', 'buildrun', 'cancel', '--name', 'slow-run')
  assert.match(await done('ce', 'buildrun', 'get', '-n', 'slow-run'), /Status: +failed \(The build run was cancelled\.\)/)
  await eventually('npm is gone', () => asking.size === 0)
  assert.match(await done('ce', 'br', 'events', '--buildrun', 'slow-run'), /^Warning +Failed .* slow-run +The build was cancelled\.$/m)
  const { status, stderr } = await ibmcloud('ce', 'buildrun', 'cancel', '--name', 'slow-run')
  assert.deepEqual([status, /is over/.test(stderr)], [1, true], stderr)
  await done('ce', 'buildrun', 'delete', '-n', 'slow-run', '-f')
  await done('ce', 'build', 'delete', '-n', 'slow', '-f')
})

test('a job takes one folder of its source, and with --no-wait its build goes on by itself', LIMIT, async () => {
  writeFileSync(join(source, 'Dockerfile'), 'FROM scratch\n')
  const words = ['--src', place.home, '--context-dir', 'source/', '--env', 'GREETING=you', '--retrylimit', '0']
  const asked = await ibmcloud('ce', 'job', 'create', '--n', 'part', ...words, '--wait', '--strategy', 'dockerfile')
  assert.deepEqual([asked.status, /with strategy_type dockerfile does not exist/.test(asked.stderr)], [1, true], asked.stderr)
  const made = await ibmcloud('ce', 'job', 'create', '--n', 'part', ...words, '--wait')
  assert.deepEqual([made.status, /The Dockerfile of \S+ is not used/.test(made.stderr)], [0, true], made.stderr)
  await done('ce', 'jobrun', 'submit', '--job', 'part', '--name', 'part-run', '--wait')
  assert.match(await done('ce', 'jobrun', 'logs', '--jobrun', 'part-run'), /Hello from job 0 you/)
  const [before] = (await json<{ items: { metadata: { name: string } }[] }>('ce', 'buildrun', 'list', '--build', 'job-part')).items
  const { stderr, status } = await ibmcloud('ce', 'job', 'update', '--n', 'part', ...words, '--no-wait')
  assert.equal(status, 0, stderr)
  assert.doesNotMatch(stderr, /completed successfully/)
  const runs = (await json<{ items: { metadata: { name: string } }[] }>('ce', 'buildrun', 'list', '--build', 'job-part')).items
  assert.equal(runs.length, 2)
  assert.ok(runs.some(({ metadata }) => metadata.name === before?.metadata.name))
  rmSync(join(source, 'Dockerfile'))
  await done('ce', 'build', 'create', '-n', 'of-part', '--source', place.home, '--context-dir', 'source')
  await done('ce', 'buildrun', 'submit', '-n', 'of-part-run', '--build', 'of-part', '--wait')
  assert.match(await done('ce', 'buildrun', 'get', '-n', 'of-part-run'), /Status: +succeeded/)
  await done('ce', 'buildrun', 'delete', '--build', 'job-part', '-f')
  assert.deepEqual((await json<{ items: unknown[] }>('ce', 'buildrun', 'list', '--build', 'job-part')).items, [])
  await done('ce', 'job', 'delete', '-n', 'part', '-f')
})

test('secrets and configmaps hold what literals, files and lists of variables say, and values stay in base64', LIMIT, async () => {
  const [list, file] = [join(place.home, 'list'), join(place.home, 'file')]
  writeFileSync(list, '# of the sample\nMY_ONE=1\nMY_TWO=a=b\n')
  writeFileSync(file, 'In Congress\n')
  const from = ['--from-literal', 'MY_KNOB=42', '--from-env-file', list, '--from-file', file, '--from-file', `MY_FILE=${file}`]
  const data = { MY_KNOB: '42', MY_ONE: '1', MY_TWO: 'a=b', file: 'In Congress\n', MY_FILE: 'In Congress\n' }
  await done('ce', 'configmap', 'create', '--name', 'knobs', ...from)
  assert.deepEqual((await json<{ data: unknown }>('ce', 'cm', 'get', '-n', 'knobs')).data, data)
  await done('ce', 'secret', 'create', '--name', 'knobs', ...from)
  assert.match(await done('ce', 'secret', 'get', '-n', 'knobs'), /^MY_KNOB: NDI=$/m)
  assert.match(await done('ce', 'secret', 'get', '-n', 'knobs', '--decode'), /^MY_KNOB: 42$/m)
  await done('ce', 'secret', 'update', '-n', 'knobs', '--rm', 'MY_ONE', '-l', 'MY_KNOB=43')
  const { data: changed } = await json<{ data: Record<string, string> }>('ce', 'secret', 'get', '-n', 'knobs')
  assert.deepEqual([changed.MY_KNOB, changed.MY_ONE, changed.MY_TWO], ['NDM=', undefined, 'YT1i'])
  assert.equal((await ibmcloud('ce', 'secret', 'create', '-n', 'empty')).status, 2)
  await done('ce', 'secret', 'delete', '-n', 'knobs', '-f')
})

test('a build takes a folder and runs; its image has revisions, and a domain is mapped to the app', LIMIT, async () => {
  await done('ce', 'build', 'create', '-n', 'page', '--source', source)
  await done('ce', 'buildrun', 'submit', '-n', 'page-run', '--build', 'page', '--wait')
  assert.match(await done('ce', 'br', 'list', '--build', 'page'), /^page-run +succeeded +private.everleaf\/page +page /m)
  await done('ce', 'app', 'create', '-n', 'page', '--image', 'private.everleaf/page', '-e', 'GREETING=a')
  await done('ce', 'app', 'update', '-n', 'page', '-e', 'GREETING=b')
  assert.match(await done('ce', 'revision', 'list', '-a', 'page'), /^page-00001 +page [\s\S]*^page-00002 +page +ready /m)
  assert.equal((await json<{ metadata: { name: string } }>('ce', 'rev', 'get', '-n', 'page-00002')).metadata.name, 'page-00002')
  const second = await done('ce', 'revision', 'logs', '-r', 'page-00002')
  assert.match(second, /^page-00002-\S+\/user-container:\nlistening with b /)
  assert.doesNotMatch(second, /page-00001|with a/)
  const first = (await done('ce', 'rev', 'logs', '-n', 'page-00001', '--raw')).trimEnd().split('\n')
  assert.equal(first[0], 'listening with a undefined')
  assert.equal((await done('ce', 'rev', 'logs', '-n', 'page-00001', '--raw', '--tail', '1')).trimEnd(), first.at(-1))
  const events = await done('ce', 'rev', 'events', '-n', 'page-00002')
  assert.match(events, /RevisionReady .* page-00002 /)
  assert.doesNotMatch(events, /page-00001/)
  assert.equal((await ibmcloud('ce', 'rev', 'logs', '-n', 'page-00009')).status, 1)
  await done('ce', 'rev', 'delete', '-n', 'page-00001', '-f')
  const leaf = await (await chainMaker()).leaf(['page.example.com'])
  const [chain, key] = [join(place.home, 'chain.pem'), join(place.home, 'key.pem')]
  writeFileSync(chain, leaf.certificate)
  writeFileSync(key, leaf.privateKey, { mode: 0o600 })
  await done('ce', 'secret', 'create', '-n', 'page-tls', '--format', 'tls', '--cert-chain-file', chain, '--private-key-file', key)
  await done('ce', 'domainmapping', 'create', '--domain-name', 'page.example.com', '--target', 'page', '--tls-secret', 'page-tls')
  assert.match(await done('ce', 'dm', 'list'), /^page\.example\.com +\S+ +\S+ +page +page-tls /m)
  await done('ce', 'dm', 'delete', '-n', 'page.example.com', '-f')
  await done('ce', 'app', 'delete', '-n', 'page', '-f')
})

test('the older commands for secrets of registries and repositories make secrets of their format', LIMIT, async () => {
  const file = join(place.home, 'password')
  writeFileSync(file, 'hidden\n', { mode: 0o600 })
  await done('ce', 'registry', 'create', '-n', 'reg', '--password-from-file', file)
  const { type, data } = await json<{ type: string; data: Record<string, string> }>('ce', 'secret', 'get', '-n', 'reg')
  assert.deepEqual(
    [type, data.username, data.password].map(String),
    ['registry', 'iamapikey', 'hidden'].map((text, at) => (at === 0 ? text : Buffer.from(text).toString('base64'))),
  )
  await done('ce', 'repo', 'create', '-n', 'git', '--key-path', file)
  assert.match(await done('ce', 'repo', 'list'), /^git +1 +ssh_auth /m)
  assert.doesNotMatch(await done('ce', 'registry', 'list'), /^git /m)
})

test('a project is made without being selected, selected, and left again when it is deleted', LIMIT, async () => {
  const own = await json<{ guid: string }>('ce', 'project', 'current')
  await done('ce', 'project', 'create', '--name', 'other', '--no-select')
  assert.equal((await json<{ guid: string }>('ce', 'proj', 'current')).guid, own.guid)
  await done('ce', 'project', 'select', '-n', 'other')
  const { guid } = await json<{ guid: string }>('ce', 'proj', 'current')
  assert.notEqual(guid, own.guid)
  assert.doesNotMatch(await done('ce', 'configmap', 'list'), /knobs/)
  const other = await json<{ domain: string; kube_config_context: string }>('ce', 'proj', 'current')
  const shown = await done('ce', 'app', 'create', '-n', 'named', '--image', 'private.everleaf/none', '--no-wait')
  assert.match(shown, new RegExp(`^https://named\\.${other.kube_config_context}\\.${other.domain}(:\\d+)?$`, 'm'))
  assert.match((await ibmcloud('ce', 'project', 'select', '-n', 'other', '--kubecfg')).stderr, /no Kubernetes/)
  await done('ce', 'project', 'delete', '-n', 'other', '-f', '--hard')
  await done('ce', 'project', 'create', '--name', 'other')
  assert.notEqual((await json<{ guid: string }>('ce', 'proj', 'current')).guid, guid)
  await done('ce', 'project', 'delete', '-n', 'other', '-f')
  assert.equal((await json<{ guid: string }>('ce', 'proj', 'current')).guid, own.guid)
})

test('what Everleaf does not have is refused by name, and what is wrong names the next command', LIMIT, async () => {
  const absent = await ibmcloud('ce', 'function', 'create', '--name', 'x')
  assert.equal(absent.status, 1)
  assert.match(absent.stderr, /does not have "function"/)
  assert.equal((await ibmcloud('ce', 'app', 'get', '-n', 'x', '-o', 'xml')).status, 2)
})
