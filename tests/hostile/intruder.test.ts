import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { deploy, webApp } from '../support/pipeline.ts'
import { couldNotRun, freshHome, processesOf, type Running, startPlatform } from '../support/platform.ts'
import { ask } from './wire.ts'

const CANARIES = { mounted: 'canary-mounted-71c2', variable: 'canary-variable-5d0e', temp: 'canary-temp-33fa', outer: 'canary-outer-90bd' }
const VICTIM = webApp(`
  const fs = require('fs');
  for (const folder of ['/tmp', '/var/tmp', '/dev/shm']) try { fs.writeFileSync(folder + '/notes-' + process.pid, '${CANARIES.temp}', { mode: 0o600 }); } catch {}
  response.end(fs.readFileSync('/mnt/secret/value', 'utf8').length + ' ' + process.env.VALUE.length + ' ' + process.pid);
`)

const home = freshHome()
let platform: Running
let got: Readonly<Record<string, string>>
let victim: string
let canIsolate: boolean

before(async () => {
  platform = await startPlatform({ ...home, env: { SECRET_OF_THE_SHELL: CANARIES.outer, AWS_SECRET_ACCESS_KEY: CANARIES.outer } })
  const project = `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
  for (const [name, value] of [
    ['mounted', CANARIES.mounted],
    ['variable', CANARIES.variable],
  ])
    assert.equal((await platform.api('POST', `${project}/secrets`, { name, format: 'generic', data: { value } })).status, 201)
  const always = { scale_min_instances: 1, scale_max_instances: 1 }
  victim = await deploy(platform, 'victim', VICTIM, {
    ...always,
    run_compute_resource_token_enabled: true,
    run_volume_mounts: [{ type: 'secret', mount_path: '/mnt/secret', reference: 'mounted' }],
    run_env_variables: [{ type: 'secret_key_reference', name: 'VALUE', reference: 'variable', key: 'value' }],
  })
  const source = readFileSync(join(import.meta.dirname, 'intruder/server.js'), 'utf8')
  const intruder = await deploy(platform, 'intruder', { 'server.js': source }, { ...always, run_compute_resource_token_enabled: true })
  assert.match(await of(victim), /19 20 \d+$/)
  const outer = Number(
    processesOf(home.home)
      .find((line) => /\bcore\b/.test(line))
      ?.split(' ')[0],
  )
  const { ports } = platform
  const facts = JSON.stringify({ home: home.home, pid: outer || platform.child.pid, api: ports.api, ports: [ports.public, ports.private, ports.front] })
  const text = await of(intruder, `/try?facts=${encodeURIComponent(facts)}`)
  got = JSON.parse(text.slice(text.indexOf('{'))) as Record<string, string>
  canIsolate = await isolates()
  if (!canIsolate) couldNotRun('what keeps a malicious app in', 'it needs root and namespaces: without them accidents are contained, malice is not')
})
after(async () => {
  await platform.stop()
  home[Symbol.dispose]()
})

/** A test of what only a platform that runs as root, with namespaces, promises. */
function isolated(name: string, work: () => void): void {
  test(name, (t) => (canIsolate ? work() : t.skip('needs root and namespaces')))
}

/** Whether the platform says of itself that it can: what it then does is for the tests to judge. */
function isolates(): Promise<boolean> {
  return new Promise((resolve, reject) => {
    get({ socketPath: join(home.home, 'run/edge.sock'), path: '/status' }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.on('end', () => {
        const { findings } = JSON.parse(text) as { findings: { subject: string; works: boolean }[] }
        resolve(findings.some(({ subject, works }) => subject === 'isolation' && works))
      })
    }).on('error', reject)
  })
}

async function of(endpoint: string, target = '/'): Promise<string> {
  const { hostname } = new URL(endpoint)
  const { status, text } = await ask(platform.ports.public, { sni: hostname, host: hostname, target })
  assert.equal(status, 200, text)
  return text
}

isolated('an app runs as a user of its own, without any capability, and can get no new one', () => {
  const [uid, capabilities, noNewPrivileges] = (got['who it is'] ?? '').split(' ')
  assert.ok(Number(uid) >= 2 ** 30 && Number(uid) < 2 ** 31, `uid ${uid}`)
  assert.deepEqual([capabilities, noNewPrivileges], ['0'.repeat(16), '1'])
})

isolated('no way led to a secret of another app or of the platform', () => {
  const token = platform.env.IBMCLOUD_API_KEY ?? ''
  const needles = [...Object.values(CANARIES), token, 'BEGIN PRIVATE KEY', 'BEGIN EC PRIVATE KEY', 'SQLite format 3', 'root:$']
  const found = Object.entries(got).flatMap(([way, text]) =>
    needles.filter((needle) => needle !== '' && text.includes(needle)).map((needle) => `${way}: ${needle}`),
  )
  assert.deepEqual(found, [])
})

/** Ways that must be refused by name, not only come to nothing. */
const CLOSED = [
  ...['the database', 'the root key', 'the login', 'the sealed snapshot', 'the home', 'mounts of others', 'images of others', 'logs of others'],
  ...['the socket of core', 'the socket of edge', 'the real root by /proc/1', 'a process by its outer number', 'memory of the first process'],
  ...['signals to others', 'a low port', 'the code of the app', 'the hosts file', 'the token', 'the token of its service account', 'the trust', 'passwords'],
]
for (const way of CLOSED) {
  isolated(`closed to an app: ${way}`, () => {
    assert.match(got[way] ?? 'not tried', /^refused/)
  })
}

for (const way of ['disks and memory', 'kernel settings', 'the clock', 'the host name', 'raw packets', 'programs of the machine']) {
  isolated(`nothing was got by an app: ${way}`, () => {
    assert.doesNotMatch(got[way] ?? 'GOT: not tried', /GOT/)
  })
}

isolated('the real root stays covered, also in a namespace of its own', () => {
  for (const way of [
    'the real root, covered',
    'the real root, uncovered',
    'the real root in a namespace of its own',
    'the inside of links',
    'the root by an open folder',
  ])
    assert.ok(!/\b(vmlinuz|boot|srv|everleaf\.db|login\.json|lost\+found)\b/.test(got[way] ?? 'boot'), `${way}: ${got[way]}`)
})

isolated('set-uid programs of the machine give no rights', () => {
  assert.doesNotMatch(got['set-uid programs'] ?? 'uid=0', /uid=0/)
})

isolated('an app sees no process but its own, and of those above it no environment', () => {
  const seen = got['processes of others'] ?? ''
  assert.ok(!/everleaf\/src\/main|spawner|core\0|victim/.test(seen), seen)
  assert.ok(!/environ: \S/.test(seen), seen)
})

isolated('temporary files and shared memory of another app are not there', () => {
  assert.ok(!(got['temp of others'] ?? 'notes').includes('notes'), got['temp of others'] ?? '')
})

test('nothing of the platform is open in an app or stands in its environment', () => {
  assert.ok(!(got['open files'] ?? '').includes(home.home), got['open files'] ?? '')
  const names = Object.keys(JSON.parse(got['its environment'] ?? '{}') as object)
  assert.deepEqual(
    names.filter((name) => /SECRET|AWS|EVERLEAF_HOME|NPM_|npm_|LOGNAME|^E_/.test(name)),
    [],
  )
})

test('an app leaves no core dump', () => assert.ok((got['a core dump'] ?? '').startsWith('0\n'), 'core dumps are off'))

isolated('an app reads the tokens of its own instance and no others', () => {
  const found = (got['tokens of service accounts'] ?? '').split(/\s+/).filter((text) => text.split('.').length === 3)
  const names = found.map((token) => (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { component_name: string }).component_name)
  assert.deepEqual([...new Set(names)], ['intruder'])
})

const WITH_TOKENS = ['the API with its own token as it is', 'the API with its service account', 'the API of Kubernetes with the other token']

test('the APIs ask an app for a token like everybody, and those of its instance are none', () => {
  for (const way of ['the API without a token', ...WITH_TOKENS]) assert.match(got[way] ?? '', /^401 /)
  assert.match(got['the link by the API port'] ?? '', /^(501|421|400|404) /)
})

test('after all of that the platform and the other app go on', async () => {
  assert.match(await of(victim), /19 20 \d+$/)
  assert.equal((await platform.api('GET', `${platform.env.CODE_ENGINE_URL}/projects`)).status, 200)
})
