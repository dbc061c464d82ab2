import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startIam } from './platform.ts'

const [CREATE, READ, DELETE] = ['create', 'read', 'delete'].map((verb) => `codeengine.tenant.entities.${verb}`) as [string, string, string]
const PROJECT = '11111111-1111-4111-8111-111111111111'
const ACCOUNT = 'a'.repeat(32)
const projectCrn = `crn:v1:bluemix:public:codeengine:eu-de:a/${ACCOUNT}:${PROJECT}::`
const app = { projectCrn, componentType: 'application', componentName: 'shop' }
const here = { service: 'codeengine', account: ACCOUNT, instance: PROJECT }

async function start() {
  const started = await startIam()
  const { iam } = started
  const tokenOf = (serviceAccount: string) =>
    iam.serviceAccountToken({
      ...app,
      account: ACCOUNT,
      projectId: PROJECT,
      projectName: 'demo',
      region: 'eu-de',
      instance: 'shop-1',
      namespace: 'abc',
      serviceAccount,
    })
  const callerOf = async (serviceAccount: string) => {
    const identity = await iam.accountGuard.authenticate(`Bearer ${tokenOf(serviceAccount).token}`)
    assert.ok(identity)
    return identity
  }
  return { ...started, tokenOf, callerOf, guard: iam.accountGuard }
}

test('the token of a service account says who it is, lives an hour and ends in no line break', async () => {
  const { tokenOf, guard, callerOf, world } = await start()
  const { token, issuedAt, expiresAt } = tokenOf('reader')
  assert.equal(token, token.trim())
  assert.equal(expiresAt - issuedAt, 3_600)
  assert.deepEqual(await callerOf('reader'), {
    iamId: `crn-crn:v1:bluemix:public:codeengine:eu-de:a/${ACCOUNT}:${PROJECT}:application:shop`,
    account: ACCOUNT,
    kind: 'service-account',
    name: 'system:serviceaccount:abc:reader',
  })
  await world.advance(3_600_000)
  assert.equal(await guard.authenticate(`Bearer ${token}`), undefined)
})

for (const [account, may] of [
  ['reader', [true, false, false]],
  ['writer', [true, true, true]],
  ['manager', [true, true, true]],
  ['default', [true, true, true]],
] as const)
  test(`the account ${account} may ${may[1] ? 'read and write' : 'only read'} in its own project`, async () => {
    const { guard, callerOf } = await start()
    const caller = await callerOf(account)
    assert.deepEqual(await Promise.all([READ, CREATE, DELETE].map((action) => guard.authorize(caller, action, here))), may)
  })

test('no account may do anything in another project, in another service, or beyond the project', async () => {
  const { guard, callerOf } = await start()
  const caller = await callerOf('manager')
  const other = { ...here, instance: '22222222-2222-4222-8222-222222222222' }
  for (const resource of [other, { service: 'codeengine', account: ACCOUNT }, { ...here, service: 'secrets-manager' }])
    assert.equal(await guard.authorize(caller, READ, resource), false, JSON.stringify(resource))
  assert.equal(await guard.authorize(caller, 'codeengine.project.delete', here), false)
  assert.equal(await guard.authorize({ ...caller }, READ, here), false, 'an identity that did not come with a token')
})

test('there is no token for an account that is not there, and none for none', async () => {
  const { tokenOf } = await start()
  for (const account of ['none', 'owner', 'constructor']) assert.throws(() => tokenOf(account), /there is no service account/)
})

test('the tokens of a deleted component are refused, those of one made again under its name are not', async () => {
  const { guard, tokenOf, store, iam, world } = await start()
  const { token } = tokenOf('writer')
  await world.advance(5)
  await store.write((tx) => iam.componentDeleted(tx, { ...app, at: world.now() }))
  await world.advance(5)
  assert.equal(await guard.authenticate(`Bearer ${token}`), undefined)
  assert.ok(await guard.authenticate(`Bearer ${tokenOf('writer').token}`))
})

test("after the signing keys have changed a token is good until its end, and a platform's access token never is", async () => {
  const { guard, tokenOf, iam, login } = await start()
  const { token } = tokenOf('writer')
  await iam.rotateSigningKeys()
  assert.ok(await guard.authenticate(`Bearer ${token}`))
  const made = await iam.createAccount({ name: 'one', email: 'owner@example.com' })
  assert.equal(await guard.authenticate(`Bearer ${await login(made.cliKey.reveal())}`), undefined)
  assert.equal(await iam.guard.authenticate(`Bearer ${token}`), undefined)
})

test('a refusal says to whoever asks why which account it was and what to do', async () => {
  const { guard, callerOf, iam } = await start()
  const identity = await callerOf('reader')
  guard.refused?.({ identity, action: CREATE, resource: here, requestId: 'r' })
  const [told] = await iam.explainRefusals(1)
  assert.deepEqual([told?.allowed, told?.refusal.requestId, told?.steps[0]?.what], [false, 'r', 'service-account'])
  assert.match(told?.steps[0]?.text ?? '', /system:serviceaccount:abc:reader/)
  assert.match(told?.steps[0]?.mend ?? '', /--service-account writer/)
})
