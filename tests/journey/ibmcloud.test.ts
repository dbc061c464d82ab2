import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { platformForAll } from '../support/for-all.ts'
import { environment, finish, freshHome, ROOT } from '../support/platform.ts'

const place = freshHome()
platformForAll(place)

const ibmcloud = ibmcloudOf(place)
const { done } = ibmcloud

test("an instance is made, found by IBM's own jq paths, and deleted", async () => {
  assert.match(await done('resource', 'service-instance-create', 'en-instance', 'event-notifications', 'lite', 'au-syd'), /^OK$/m)
  assert.match(await done('resource', 'service-instances', '--location', 'au-syd', '-q'), /^en-instance +au-syd +active +service_instance$/m)
  assert.doesNotMatch(await done('resource', 'service-instances', '--location', 'eu-gb', '-q'), /en-instance/)
  const [instance] = JSON.parse(await done('resource', 'service-instance', 'en-instance', '-q', '--output', 'json')) as {
    state: string
    guid: string
    id: string
  }[]
  assert.equal(instance?.state, 'active')
  assert.match(await done('resource', 'service-instance', 'en-instance', '--crn'), new RegExp(`^${instance?.id}$`, 'm'))
  await done('resource', 'service-instance-delete', 'en-instance', '-f')
  assert.equal((await ibmcloud('resource', 'service-instance', 'en-instance')).status, 1)
})

test('deleting asks first, and without a terminal nothing is deleted', async () => {
  await done('resource', 'service-instance-create', 'kept', 'event-notifications', 'lite', 'eu-de')
  const { status, stderr } = await ibmcloud('resource', 'service-instance-delete', 'kept')
  assert.equal(status, 2)
  assert.match(stderr, /add --force \(-f\)/)
  await done('resource', 'service-instance', 'kept')
})

test('two instances of one name are not guessed between', async () => {
  for (const region of ['eu-de', 'eu-gb']) await done('resource', 'service-instance-create', 'twice', 'event-notifications', 'lite', region)
  const { status, stderr } = await ibmcloud('resource', 'service-instance-delete', 'twice', '-f')
  assert.equal(status, 1)
  assert.match(stderr, /2 instances are named twice/)
  await done('resource', 'service-instance-delete', 'twice', '-f', '--location', 'eu-gb')
  await done('resource', 'service-instance-delete', 'twice', '-f')
})

test('region and group stay targeted, in a file that only its owner reads', async () => {
  await done('target', '-r', 'eu-es', '-g', 'default')
  const shown = await done('target')
  assert.match(shown, /^Region: +eu-es$/m)
  assert.match(shown, /^Resource group: +Default$/m)
  assert.equal(statSync(join(place.home, 'cli/ibmcloud.json')).mode & 0o777, 0o600)
  assert.match(await done('target', '--unset-region', '--unset-resource-group'), /No resource group targeted/)
})

test('a wrong key changes no login, and after logout nothing is allowed until the next login', async () => {
  const key = join(place.home, 'wrong-key')
  writeFileSync(key, 'not-a-key-at-all', { mode: 0o600 })
  assert.equal((await ibmcloud('login', '--apikey', `@${key}`)).status, 1)
  await done('resource', 'groups')
  await done('logout')
  const refused = await ibmcloud('resource', 'groups')
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /Log in with: ibmcloud login/)
  await done('login')
  await done('resource', 'groups')
})

test('wrong words are refused with the nearest right ones, and what is absent by name', async () => {
  for (const [args, status, says] of [
    [['resource', 'grups'], 2, /Did you mean this\?\n {2}ibmcloud resource groups/],
    [['resorce'], 2, /ibmcloud resource/],
    [['resource', 'service-instance-create', 'x', 'event-notifications', 'lit', 'eu-de'], 2, /It has: lite, standard/],
    [['target', '-r', 'eu-dee'], 2, /Did you mean eu-de\?/],
    [['cos', 'aspera'], 1, /does not have "aspera"/],
    [['resource', 'reclamation'], 1, /does not have "reclamation"/],
    [['login', '--sso'], 1, /--apikey @FILE/],
  ] as const) {
    const ended = await ibmcloud(...args)
    assert.equal(ended.status, status, args.join(' '))
    assert.match(ended.stderr, says)
    assert.equal(ended.stdout, '')
  }
})

test('words are completed, and help is there without a platform', async () => {
  assert.deepEqual((await done('resource', 'service-instance-', '--generate-bash-completion')).trim().split('\n'), [
    'service-instance-create',
    'service-instance-delete',
    'service-instance-lock',
    'service-instance-unlock',
    'service-instance-update',
  ])
  assert.match(await done('completion', 'bash'), /complete -F _ibmcloud ibmcloud/)
  const elsewhere = { ...environment(place), EVERLEAF_HOME: join(place.home, 'none') }
  const help = await finish(
    spawn('node', [join(ROOT, 'bin/ibmcloud'), 'resource', 'groups', '--help'], { env: elsewhere, stdio: ['ignore', 'pipe', 'pipe'] }),
    60_000,
  )
  assert.match(help.stdout, /Usage: ibmcloud resource groups/)
  const away = await finish(spawn('node', [join(ROOT, 'bin/ibmcloud'), 'resource', 'groups'], { env: elsewhere, stdio: ['ignore', 'pipe', 'pipe'] }), 60_000)
  assert.equal(away.status, 3)
  assert.match(away.stderr, /everleaf up/)
  for (const words of [['--version'], ['-v'], ['version'], ['regions']]) {
    const { status, stdout } = await finish(
      spawn('node', [join(ROOT, 'bin/ibmcloud'), ...words], { env: elsewhere, stdio: ['ignore', 'pipe', 'pipe'] }),
      60_000,
    )
    assert.equal(status, 0, words.join(' '))
    assert.match(stdout, /^ibmcloud \d+\.\d+\.\d+ \(Everleaf\)|eu-de/m)
  }
})
