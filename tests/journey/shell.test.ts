import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { platformForAll } from '../support/for-all.ts'
import { type Ibmcloud, ibmcloudOf } from '../support/ibmcloud.ts'
import { environment, everleaf, finish, freshHome, ROOT, type Running } from '../support/platform.ts'

const place = freshHome()
let platform: Running
platformForAll(place, (running) => {
  platform = running
})

async function makeBucketAndApp({ done, json }: Ibmcloud): Promise<void> {
  await done('resource', 'service-instance-create', 'cos', 'cloud-object-storage', 'lite', 'global', '-q')
  const [instance] = await json<{ guid: string }[]>('resource', 'service-instance', 'cos', '-q')
  await done('cos', 'bucket-create', '--bucket', 'hosted-bucket', '--ibm-service-instance-id', instance?.guid ?? '')
  const folder = join(place.home, 'app')
  mkdirSync(folder)
  writeFileSync(join(folder, 'index.js'), `require('http').createServer((_, response) => response.end('ok')).listen(process.env.PORT)`)
  await done('ce', 'project', 'select', '--id', platform.env.CODE_ENGINE_PROJECT_ID ?? '')
  await done('ce', 'app', 'create', '--name', 'hosted-app', '--build-source', folder)
}

const inShell = (...command: readonly string[]) => everleaf(['shell', ...command], { ...place, env: { SECRETS_MANAGER_URL: 'https://vault.example.com' } })

test('in the shell ibmcloud is ours and logged in, the clients of all languages find the platform, and exit statuses come back', async () => {
  const groups = await inShell('ibmcloud', 'resource', 'groups', '-q')
  assert.equal(groups.status, 0, groups.stderr)
  assert.match(groups.stdout, /^Default /m)
  assert.match((await inShell('ibmcloud', 'sm', 'secret-groups')).stdout, /^default /m)
  const { stdout } = await inShell('sh', '-c', 'command -v ibmcloud; echo $IAM_IDENTITY_URL; exit 7')
  assert.match(stdout, new RegExp(`^${place.home}/cli/bin/ibmcloud$`, 'm'))
  assert.match(stdout, new RegExp(`^${platform.env.IAM_IDENTITY_URL}$`, 'm'))
  assert.equal((await inShell('sh', '-c', 'exit 7')).status, 7)
  assert.equal((await inShell('no-such-program')).status, 2)
  const line = await inShell('sleep 0 | cat')
  assert.equal(line.status, 2)
  assert.match(line.stderr, /everleaf shell bash -c 'sleep 0 \| cat'/)
})

test('an interactive bash has a prompt of its own, completion, and our ibmcloud before any other', async () => {
  const child = spawn(process.execPath, [join(ROOT, 'apps/cli/src/main.ts'), 'shell', '--shell', 'bash'], { env: environment(place) })
  child.stdin.end('echo "prompt: $PS1"; complete -p ibmcloud; command -v ibmcloud\nexit 3\n')
  const { status, stdout } = await finish(child, 60_000)
  assert.equal(status, 3)
  assert.match(stdout, /prompt: \(everleaf\)/)
  assert.match(stdout, /complete .*_ibmcloud ibmcloud/)
  assert.match(stdout, new RegExp(`${place.home}/cli/bin/ibmcloud`))
  assert.equal(statSync(join(place.home, 'cli/shell/bashrc')).mode & 0o777, 0o600)
})

test('what is typed into the shell is kept in the home, for its owner alone, and not among what the person typed elsewhere', async () => {
  const mine = join(place.home, '.bash_history')
  writeFileSync(mine, 'mine\n')
  writeFileSync(join(place.home, '.bashrc'), `HISTFILE=${mine}\n`)
  const child = spawn(process.execPath, [join(ROOT, 'apps/cli/src/main.ts'), 'shell', '--shell', 'bash'], { env: { ...environment(place), HOME: place.home } })
  child.stdin.end('echo typed-here\n echo behind-a-space\nexit\n')
  await finish(child, 60_000)
  const kept = join(place.home, 'cli/shell/bash_history')
  assert.equal(readFileSync(mine, 'utf8'), 'mine\n')
  assert.equal(statSync(kept).mode & 0o777, 0o600)
  assert.match(readFileSync(kept, 'utf8'), /^echo typed-here$/m)
  assert.doesNotMatch(readFileSync(kept, 'utf8'), /behind-a-space/)
})

test('env is written for each shell, and another one is refused', async () => {
  const as = async (shell: string) => (await everleaf(['env', '--shell', shell], place)).stdout
  assert.match(await as('bash'), /^export IAM_IDENTITY_URL='http/m)
  assert.match(await as('fish'), /^set -gx IAM_IDENTITY_URL 'http/m)
  const { status, stderr } = await everleaf(['env', '--shell', 'tcsh'], place)
  assert.equal(status, 2)
  assert.match(stderr, /bash, zsh and fish/)
})

test('the lock and the database of the platform are read by their owner alone', () => {
  for (const file of ['data/everleaf.db', 'data/everleaf.db-wal', 'run/edge.lock', 'run/core.lock'])
    assert.equal(statSync(join(place.home, file)).mode & 0o777, 0o600, file)
})

test('the names go into a hosts file once, are replaced, and come out again; what stood there stays', async () => {
  const file = join(place.home, 'hosts')
  writeFileSync(file, '127.0.0.1 localhost\n# mine')
  const ibmcloud = ibmcloudOf(place)
  await makeBucketAndApp(ibmcloud)
  for (let time = 0; time < 2; time++) {
    const written = await everleaf(['hosts', '--write', file], place)
    assert.equal(written.status, 0)
    assert.ok(written.stdout.includes(`everleaf hosts --remove ${file}`), written.stdout)
  }
  const text = readFileSync(file, 'utf8')
  for (const name of [
    'iam.cloud.ibm.com',
    'au-syd.event-notifications.cloud.ibm.com',
    `${platform.env.SECRETS_MANAGER_URL?.split('/').at(-1)}.eu-de.secrets-manager.appdomain.cloud`,
    `${platform.env.SECRETS_MANAGER_URL?.split('/').at(-1)}.private.eu-de.secrets-manager.appdomain.cloud`,
    'private.eu-de.event-notifications.cloud.ibm.com',
    'api.private.eu-de.codeengine.cloud.ibm.com',
    's3.direct.eu-de.cloud-object-storage.appdomain.cloud',
    's3.ams03.cloud-object-storage.appdomain.cloud',
    'hosted-bucket.s3.eu-de.cloud-object-storage.appdomain.cloud',
  ])
    assert.equal(text.split('\n').filter((line) => line.endsWith(` ${name}`)).length, 1, name)
  assert.match(text, /^127\S+ hosted-app\.\S+\.eu-de\.codeengine\.appdomain\.cloud$/m)
  assert.doesNotMatch(text, /kubernetes|svc\.cluster\.local/)
  assert.equal((await everleaf(['hosts', '--remove', file], place)).status, 0)
  assert.equal(readFileSync(file, 'utf8'), '127.0.0.1 localhost\n# mine\n')
  assert.equal((await everleaf(['hosts', '--write', join(place.home, 'none/hosts')], place)).status, 3)
})
