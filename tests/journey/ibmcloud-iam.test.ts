import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { platformForAll } from '../support/for-all.ts'
import { couldNotRun, freshHome, login, type Running } from '../support/platform.ts'

const place = freshHome()
const ibmcloud = ibmcloudOf(place)
const { done, json } = ibmcloud
let platform: Running
platformForAll(place, (running) => {
  platform = running
})

type Policy = { id: string; resources: { attributes: { name: string; value: string }[] }[]; roles: { role_id: string }[] }
const attribute = (policy: Policy, wanted: string) => policy.resources[0]?.attributes.find(({ name }) => name === wanted)?.value

test("an authorization is made and found by the filter of IBM's sample script, and taken away", async () => {
  await done('resource', 'service-instance-create', 'en-instance', 'event-notifications', 'lite', 'au-syd', '-q')
  await done('resource', 'service-instance-create', 'sm-instance', 'secrets-manager', 'trial', 'au-syd', '-q')
  const guid = async (name: string) => (await json<{ guid: string }[]>('resource', 'service-instance', name, '-q'))[0]?.guid ?? ''
  const [en, sm] = [await guid('en-instance'), await guid('sm-instance')]
  const ends = ['--source-service-instance-id', sm, '--target-service-instance-id', en, '--quiet']
  const wrong = await ibmcloud('iam', 'authorization-policy-create', 'secrets-manager', 'event-notifications', 'Event Source', ...ends)
  assert.equal(wrong.status, 1)
  assert.match(wrong.stderr, /There are: .*Event Source Manager/)
  await done('iam', 'authorization-policy-create', 'secrets-manager', 'event-notifications', 'Event Source Manager', ...ends)
  const policies = await json<Policy[]>('iam', 'authorization-policies')
  const ours = policies.filter((policy) => attribute(policy, 'serviceInstance') === en)
  assert.equal(ours.length, 1)
  assert.match(ours[0]?.roles[0]?.role_id ?? '', /Event-Source-Manager$/)
  let found = ''
  try {
    const filter = `.[] | .resources[0].attributes[] | select( .name == "serviceInstance" and .value=="${en}" ) | select (.!=null)`
    found = execFileSync('jq', ['-r', filter], { input: JSON.stringify(policies), encoding: 'utf8' })
  } catch {
    couldNotRun("the sample script's filter of authorizations", 'run tools/system-packages for jq')
    found = en
  }
  assert.match(found, new RegExp(en))
  await done('iam', 'authorization-policy-delete', ours[0]?.id ?? '', '-f')
  assert.deepEqual(
    (await json<Policy[]>('iam', 'authorization-policies')).filter((policy) => attribute(policy, 'serviceInstance') === en),
    [],
  )
})

test('a trusted profile is made, linked to one job, let into one bucket, as the article types it', async () => {
  const project = platform.env.CODE_ENGINE_PROJECT_ID ?? ''
  const crn = (await json<{ crn: string }[]>('resource', 'service-instance', project, '-q'))[0]?.crn ?? ''
  assert.match(crn, /:codeengine:/)
  await done('iam', 'trusted-profile-create', 'ce-reads-cos')
  const link = ['--name', 'ce-job-one', '--cr-type', 'CE', '--link-crn', crn, '--link-component-type', 'job', '--link-component-name', 'one']
  await done('iam', 'trusted-profile-link-create', 'ce-reads-cos', ...link)
  const on = ['--service-name', 'cloud-object-storage', '--service-instance', crn, '--resource-type', 'bucket', '--resource', 'my-bucket']
  await done('iam', 'trusted-profile-policy-create', 'ce-reads-cos', '--roles', 'Content Reader', ...on)
  const [policy] = await json<Policy[]>('iam', 'trusted-profile-policies', 'ce-reads-cos')
  assert.ok(policy)
  assert.deepEqual(
    ['serviceName', 'serviceInstance', 'resourceType', 'resource'].map((name) => attribute(policy, name)),
    ['cloud-object-storage', project, 'bucket', 'my-bucket'],
  )
  assert.match(policy.roles[0]?.role_id ?? '', /ContentReader$/)
  const [linked] = await json<{ name: string; link: { component_type: string; component_name: string } }[]>('iam', 'trusted-profile-links', 'ce-reads-cos')
  assert.deepEqual([linked?.name, linked?.link.component_type, linked?.link.component_name], ['ce-job-one', 'job', 'one'])
  const misspelled = await ibmcloud('iam', 'trusted-profile', 'ce-reads-coz')
  assert.equal(misspelled.status, 1)
  assert.match(misspelled.stderr, /Did you mean ce-reads-cos\?/)
  await done('iam', 'trusted-profile-policy-delete', 'ce-reads-cos', policy.id, '-f')
  await done('iam', 'trusted-profile-link-delete', 'ce-reads-cos', 'ce-job-one', '-f')
  await done('iam', 'trusted-profile-update', 'ce-reads-cos', '--description', 'reads a bucket')
  assert.match(await done('iam', 'trusted-profile', 'ce-reads-cos'), /^description: +reads a bucket$/m)
  assert.equal((await ibmcloud('iam', 'trusted-profile-delete', 'ce-reads-cos')).status, 2, 'deleted without a yes')
  await done('iam', 'trusted-profile-delete', 'ce-reads-cos', '-f')
})

test('what could never hold is refused before it is made, with what there is', async () => {
  const { account } = JSON.parse(readFileSync(join(place.home, 'login.json'), 'utf8')) as { account: string }
  await done('iam', 'trusted-profile-create', 'useless')
  const policy = (...words: string[]) => ['trusted-profile-policy-create', 'useless', '--roles', 'Reader', ...words]
  const link = (...words: string[]) => ['trusted-profile-link-create', 'useless', ...words]
  const crn = `crn:v1:bluemix:public:codeengine:eu-de:a/${account}:11111111-1111-4111-8111-111111111111::`
  for (const [words, says] of [
    [policy('--service-name', 'secret-manager'), /no service secret-manager here\. Did you mean secrets-manager\? There are: .*cloud-object-storage/],
    [['authorization-policy-create', 'event-notifications', 'nosuch', 'Reader'], /no service nosuch here\. There are: /],
    [['authorization-policy-create', 'event-notifications', 'secrets-manager', 'Reader'], /event-notifications does nothing on secrets-manager/],
    [policy('--service-name', 'secrets-manager', '--service-instance', 'nope'), /no service instance nope\.\nSee their GUIDs: ibmcloud resource/],
    [policy('--service-name', 'cloud-object-storage', '--resource', 'b'), /add --resource-type/],
    [link('--cr-type', 'CE', '--link-crn', 'bogus'), /is a CRN of ten parts/],
    [link('--cr-type', 'CE', '--link-crn', crn.replace('codeengine', 'secrets-manager')), /is of secrets-manager/],
    [link('--cr-type', 'CE', '--link-crn', crn), /no service instance 11111111/],
    [link('--cr-type', 'XX', '--link-crn', crn), /--cr-type is one of CE, /],
    [
      ['trusted-profile-rule-create', 'useless', '--type', 'Profile-CR', '--conditions', 'claim:name,operator:EQ,value:x'],
      /allowed values: EQUALS, NOT_EQUALS, /,
    ],
  ] as const) {
    const { status, stderr } = await ibmcloud('iam', ...words)
    assert.ok(status === 1 || status === 2, `${words.join(' ')}: ${status}`)
    assert.match(stderr, says, words.join(' '))
  }
  for (const kind of ['policies', 'links']) assert.deepEqual(await json('iam', `trusted-profile-${kind}`, 'useless'), [], kind)
  // The API takes links to what is still to come elsewhere.
  await done('iam', ...link('--cr-type', 'CE', '--link-crn', crn.replace(account, 'f'.repeat(32))))
})

test('each service of the message has roles, and somebody refused is named', async () => {
  const { stderr } = await ibmcloud('iam', 'trusted-profile-policy-create', 'useless', '--roles', 'Reader', '--service-name', 'nosuch')
  const services = /There are: (.*)\.$/m.exec(stderr)?.[1]?.split(', ') ?? []
  assert.ok(services.length >= 7, stderr)
  for (const service of services) assert.ok((await json<unknown[]>('iam', 'roles', '--service', service)).length > 0, service)
  const refused = await ibmcloud('sm', 'secrets', '--instance-id', 'nope')
  assert.match(refused.stderr, /iam-ServiceId-[0-9a-f-]{36} is not allowed to do secrets-manager\.secrets\.list/)
})

test('a service ID gets a key in a file of its own, and what it may do; disabled, its key opens nothing', async () => {
  await done('iam', 'service-id-create', 'robot', '-d', 'for tests')
  const { id } = await json<{ id: string }>('iam', 'service-id', 'robot')
  assert.match(await done('iam', 'service-ids', '--uuid', '-q'), new RegExp(`^${id}$`, 'm'))
  await done('iam', 'service-id-update', 'robot', '-d', 'for these tests', '-f')
  const file = join(place.home, 'robot.json')
  const shown = await done('iam', 'service-api-key-create', 'robot-key', 'robot', '--file', file)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const { apikey } = JSON.parse(readFileSync(file, 'utf8')) as { apikey: string }
  assert.ok(apikey.length > 20 && !shown.includes(apikey))
  assert.equal((await ibmcloud('iam', 'service-api-key-create', 'robot-key-2', 'robot', '--file', file)).status, 1, 'a file was written over')
  await done('iam', 'service-policy-create', 'robot', '--roles', 'Viewer,SecretsReader', '--service-name', 'secrets-manager')
  const [policy] = await json<Policy[]>('iam', 'service-policies', 'robot')
  assert.equal(policy?.roles.length, 2)
  assert.ok(await login(platform.env, apikey))
  await done('iam', 'service-api-key-disable', 'robot-key', 'robot')
  await assert.rejects(login(platform.env, apikey))
  await done('iam', 'service-api-key-enable', 'robot-key', 'robot')
  assert.match(await done('iam', 'service-api-keys', 'robot'), /^robot-key /m)
  await done('iam', 'service-id-delete', 'robot', '-f')
  assert.equal((await ibmcloud('iam', 'service-id', 'robot')).status, 1)
})

test('roles and tokens are shown', async () => {
  assert.match(await done('iam', 'roles', '--service', 'secrets-manager'), /^SecretsReader /m)
  assert.match(await done('iam', 'oauth-tokens'), /^IAM token: {2}Bearer ey/)
  assert.equal((await done('iam', 'bearer-token')).trim().split('.').length, 3)
})
