import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { platformForAll } from '../support/for-all.ts'
import { environment, finish, freshHome, login, ROOT, type Running } from '../support/platform.ts'

const place = freshHome()
const ibmcloud = ibmcloudOf(place)
const { done, json } = ibmcloud
let platform: Running
platformForAll(place, (running) => {
  platform = running
})

type Key = { name: string; guid: string; credentials: Record<string, string> }

test('a service key opens its instance by its role, shows its value once, and opens nothing once it is deleted', async () => {
  await done('resource', 'service-instance-create', 'with-keys', 'secrets-manager', 'trial', 'eu-de', '-q')
  const made = await json<Key>('resource', 'service-key-create', 'reader', 'SecretsReader', '--instance-name', 'with-keys', '-q')
  const key = made.credentials.apikey ?? ''
  assert.ok(await login(platform.env, key))
  const later = await json<Key[]>('resource', 'service-key', 'reader')
  assert.equal(later.length, 1)
  assert.ok(!JSON.stringify(later).includes(key), 'the value is shown again')
  assert.match(await done('resource', 'service-keys', '--instance-name', 'with-keys'), /^reader +active /m)
  await done('resource', 'service-key-update', 'reader', '-n', 'renamed', '-f')
  assert.equal((await ibmcloud('resource', 'service-key', 'reader')).status, 1)
  assert.match((await ibmcloud('resource', 'service-key', 'renamd')).stderr, /Did you mean renamed\?/)
  assert.equal((await ibmcloud('resource', 'service-key-delete', 'renamed')).status, 2, 'deleted without a yes')
  await done('resource', 'service-key-delete', 'renamed', '-f')
  await assert.rejects(login(platform.env, key))
  assert.equal((await ibmcloud('resource', 'service-key-create', 'lost')).status, 2, 'made without an instance')
})

test('an instance gets another name, and a locked one is not deleted until it is unlocked', async () => {
  await done('resource', 'service-instance-create', 'before', 'event-notifications', 'lite', 'eu-de', '-q')
  await done('resource', 'service-instance-update', 'before', '--name', 'after', '-f')
  assert.equal((await ibmcloud('resource', 'service-instance', 'before')).status, 1)
  await done('resource', 'service-instance-lock', 'after', '-f')
  const refused = await ibmcloud('resource', 'service-instance-delete', 'after', '-f')
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /locked/)
  await done('resource', 'service-instance-unlock', 'after', '-f')
  await done('resource', 'service-instance-delete', 'after', '-f')
  assert.equal((await ibmcloud('resource', 'service-instance-update', 'after')).status, 2, 'nothing to change is no change')
})

test('a resource group is made, renamed and deleted, and not while something is in it', async () => {
  await done('resource', 'group-create', 'team')
  await done('resource', 'group-update', 'team', '--name', 'crew', '-f')
  assert.match(await done('resource', 'groups'), /^crew +\S+ +false +ACTIVE$/m)
  await done('resource', 'service-instance-create', 'inside', 'event-notifications', 'lite', 'eu-de', '-g', 'crew', '-q')
  assert.equal((await ibmcloud('resource', 'group-delete', 'crew', '-f')).status, 1)
  await done('resource', 'service-instance-delete', 'inside', '-g', 'crew', '-f')
  await done('target', '-g', 'crew')
  await done('resource', 'group-delete', 'crew', '-f')
  assert.equal((await json<{ resource_group: unknown }>('target')).resource_group, null, 'a group that is gone is targeted')
  assert.doesNotMatch(await done('resource', 'groups'), /crew/)
  assert.match(await done('resource', 'quota', 'Everleaf'), /^Service Instances: +\d+$/m)
  assert.match(await done('resource', 'reclamations'), /No reclamation found/)
})

test("a rule of a trusted profile is kept as IBM's command line takes it, changed and taken away", async () => {
  await done('iam', 'trusted-profile-create', 'with-rules')
  const conditions = ['--conditions', 'claim:namespace,operator:EQUALS,value:my,own:space', '--conditions', 'claim:crn,operator:EQUALS,value:crn:v1:x']
  await done('iam', 'trusted-profile-rule-create', 'with-rules', '--name', 'one', '--type', 'Profile-CR', '--cr-type', 'IKS_SA', ...conditions)
  await done('iam', 'trusted-profile-rule-update', 'with-rules', 'one', '--name', 'two')
  const [rule] = await json<{ name: string; conditions: { claim: string; value: string }[] }[]>('iam', 'trusted-profile-rules', 'with-rules')
  assert.equal(rule?.name, 'two')
  assert.deepEqual(
    rule?.conditions.map(({ claim, value }) => [claim, JSON.parse(value) as unknown]),
    [
      ['namespace', 'my,own:space'],
      ['crn', 'crn:v1:x'],
    ],
  )
  assert.equal((await ibmcloud('iam', 'trusted-profile-rule-create', 'with-rules', '--type', 'Profile-CR', '--conditions', 'claim:x')).status, 2)
  await done('iam', 'trusted-profile-rule-delete', 'with-rules', 'two', '-f')
  assert.deepEqual(await json('iam', 'trusted-profile-rules', 'with-rules'), [])
})

test('a policy is changed in what is given, and stays in the rest', async () => {
  type Policy = { id: string; roles: { role_id: string }[]; resources: { attributes: { name: string; value: string }[] }[] }
  await done('iam', 'trusted-profile-create', 'with-policy')
  await done('iam', 'trusted-profile-policy-create', 'with-policy', '--roles', 'Viewer', '--service-name', 'secrets-manager')
  const [made] = await json<Policy[]>('iam', 'trusted-profile-policies', 'with-policy')
  const changed = await json<Policy>('iam', 'trusted-profile-policy-update', 'with-policy', made?.id ?? '', '--roles', 'SecretsReader')
  assert.deepEqual([changed.id, changed.roles.map(({ role_id }) => role_id.split(':').at(-1))], [made?.id, ['SecretsReader']])
  assert.ok(changed.resources[0]?.attributes.some(({ name, value }) => name === 'serviceName' && value === 'secrets-manager'))
  assert.equal((await ibmcloud('iam', 'trusted-profile-policy-update', 'with-policy', made?.id ?? '')).status, 2)
  await done('iam', 'service-id-create', 'other')
  assert.equal((await ibmcloud('iam', 'service-policy-update', 'other', made?.id ?? '', '--roles', 'Viewer')).status, 1, "another's policy was changed")
})

test('everleaf ce, sm, en, iam, resource and cos are the same grammar, and everleaf iam explain stays', async () => {
  const everleaf = (...words: readonly string[]) =>
    finish(spawn('node', [join(ROOT, 'bin/everleaf'), ...words], { env: environment(place), stdio: ['ignore', 'pipe', 'pipe'] }), 60_000)
  for (const words of [
    ['ce', 'project', 'list'],
    ['sm', 'secrets'],
    ['en', 'topics'],
    ['iam', 'service-ids'],
    ['resource', 'groups'],
    ['cos', 'config', 'list'],
  ]) {
    const [ours, theirs] = [await everleaf(...words), await ibmcloud(...words)]
    assert.deepEqual([ours.status, ours.stdout, ours.stderr], [theirs.status, theirs.stdout, theirs.stderr], words.join(' '))
  }
  assert.match((await everleaf('iam', 'explain', '--help')).stdout, /--identity/)
  assert.match((await everleaf('iam')).stderr, /explain/)
})

test('an object is copied from one bucket to another', async () => {
  await done('resource', 'service-instance-create', 'cos', 'cloud-object-storage', 'standard', 'global', '-q')
  const crn = (await done('resource', 'service-instance', 'cos', '--crn', '-q')).trim()
  for (const bucket of ['from', 'into']) await done('cos', 'bucket-create', '--bucket', bucket, '--ibm-service-instance-id', crn)
  const file = join(place.home, 'object')
  writeFileSync(file, 'content')
  await done('cos', 'object-put', '--bucket', 'from', '--key', 'a/b c', '--body', file)
  await done('cos', 'object-copy', '--bucket', 'into', '--key', 'copy', '--copy-source', 'from/a/b c')
  assert.match(await done('cos', 'objects', '--bucket', 'into'), /^copy .* 7 B$/m)
  assert.equal((await ibmcloud('cos', 'object-copy', '--bucket', 'into', '--key', 'copy', '--copy-source', 'from')).status, 2)
})

test('several objects are deleted at once, as shorthand and as JSON of a file say', async () => {
  await done('resource', 'service-instance-create', 'many', 'cloud-object-storage', 'standard', 'global', '-q')
  await done('cos', 'config', 'crn', '--crn', (await done('resource', 'service-instance', 'many', '--crn', '-q')).trim(), '--force')
  await done('cos', 'config', 'auth', '--method', 'IAM')
  await done('cos', 'config', 'region', '--region', 'eu-es')
  const made = await json<{ LocationConstraint: string }>('cos', 'bucket-create', '--bucket', 'many')
  assert.equal(made.LocationConstraint, 'eu-es-standard')
  const [file, list] = [join(place.home, 'one'), join(place.home, 'list.json')]
  writeFileSync(file, 'content')
  const keys = ['a', 'b/ü <c>', 'd,{e}', 'f', 'stays']
  for (const key of keys) await done('cos', 'object-put', '--bucket', 'many', '--key', key, '--body', file)
  const left = async () => (await json<{ Contents: { Key: string }[] }>('cos', 'objects', '--bucket', 'many')).Contents.map(({ Key }) => Key)
  const gone = await json<{ Deleted: { Key: string }[] }>('cos', 'objects-delete', '--bucket', 'many', '--delete', 'Objects=[{Key=a},{Key=b/ü <c>}]')
  assert.deepEqual(gone.Deleted, [{ Key: 'a' }, { Key: 'b/ü <c>' }])
  assert.deepEqual(await left(), keys.slice(2))
  writeFileSync(list, JSON.stringify({ Objects: [{ Key: 'd,{e}' }, { Key: 'f' }], Quiet: true }))
  assert.deepEqual((await json<{ Deleted: unknown[] }>('cos', 'objects-delete', '--bucket', 'many', '--delete', `file://${list}`)).Deleted, [])
  assert.deepEqual(await left(), ['stays'])
  for (const wrong of ['Objects=[]', 'Objects=[{Name=stays}]', '{"Objects":[{"Key":"stays","VersionId":"1"}]}', 'stays'])
    assert.equal((await ibmcloud('cos', 'objects-delete', '--bucket', 'many', '--delete', wrong)).status, 2, wrong)
  assert.deepEqual(await left(), ['stays'])
  assert.match((await ibmcloud('cos', 'config', 'auth', '--method', 'HMAC')).stderr, /no HMAC keys/)
})

test('instances and service IDs are found by what scripts ask the search for', async () => {
  await done('resource', 'service-instance-create', 'sought one', 'secrets-manager', 'trial', 'eu-de', '-q')
  await done('iam', 'service-id-create', 'sought-id')
  const found = async (query: string) => (await json<{ items: { name: string; resource_id: string }[] }>('resource', 'search', query)).items
  const names = async (query: string) => (await found(query)).map(({ name }) => name).sort()
  assert.deepEqual(await names('service_name:"secrets-manager" AND name:"sought one"'), ['sought one'])
  assert.deepEqual(await names('service_name:"codeengine" AND name:"sought one"'), [])
  assert.deepEqual(await names('type:serviceid AND sought-id'), ['sought-id'])
  assert.deepEqual(await names('name:sought*'), ['sought one', 'sought-id'])
  const [{ resource_id } = { resource_id: '' }] = await found('type:serviceid AND name:"sought-id"')
  await done('iam', 'service-id-delete', resource_id, '--force')
  assert.deepEqual(await names('type:serviceid AND sought-id'), [])
  for (const wrong of ['', 'name:(a OR b)', 'a OR b', 'tags:x', 'name:"a']) assert.equal((await ibmcloud('resource', 'search', wrong)).status, 2, wrong)
})
