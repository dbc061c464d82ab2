import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSecretsManager } from './platform.ts'

test('the default group is there from the start and cannot be changed or deleted', async () => {
  const { call } = await startSecretsManager()
  const { secret_groups, total_count } = (await call('GET', '/secret_groups')).body
  assert.deepEqual([total_count, secret_groups[0].id, secret_groups[0].name, secret_groups[0].description], [1, 'default', 'default', ''])
  assert.equal((await call('GET', '/secret_groups/default')).status, 200)
  assert.equal((await call('PATCH', '/secret_groups/default', { description: 'x' })).status, 400)
  assert.equal((await call('DELETE', '/secret_groups/default')).status, 400)
})

test('a group is made, read, changed and deleted', async () => {
  const { call } = await startSecretsManager()
  const made = await call('POST', '/secret_groups', { name: 'my-secret-group' })
  assert.deepEqual([made.status, made.body.description, made.body.created_by], [201, '', 'IBMid-1'])
  assert.equal((await call('PATCH', `/secret_groups/${made.body.id}`, { name: 'my-secret-group', description: 'new' })).body.description, 'new')
  assert.equal((await call('GET', `/secret_groups/${made.body.id}`)).body.description, 'new')
  const gone = await call('DELETE', `/secret_groups/${made.body.id}`)
  assert.deepEqual([gone.status, gone.text], [204, ''])
  assert.equal((await call('GET', `/secret_groups/${made.body.id}`)).status, 404)
})

for (const name of ['taken', 'default'])
  test(`a second group named ${name} is refused`, async () => {
    const { call } = await startSecretsManager()
    const { id } = (await call('POST', '/secret_groups', { name: 'other' })).body
    await call('POST', '/secret_groups', { name: 'taken' })
    for (const reply of [await call('POST', '/secret_groups', { name }), await call('PATCH', `/secret_groups/${id}`, { name })]) {
      assert.equal(reply.status, 400)
      assert.match(reply.body.errors[0].message, /already exists/)
    }
  })

test('a group with secrets in it is not deleted, and neither are they', async () => {
  const { call } = await startSecretsManager()
  const { id } = (await call('POST', '/secret_groups', { name: 'full' })).body
  const secret = await call('POST', '/secrets', { secret_type: 'arbitrary', name: 'inside', payload: 'x', secret_group_id: id })
  const reply = await call('DELETE', `/secret_groups/${id}`)
  assert.deepEqual([reply.status, reply.body.errors[0].code], [409, 'conflict'])
  assert.equal((await call('GET', `/secrets/${secret.body.id}`)).body.payload, 'x')
  assert.equal((await call('GET', '/secret_groups/full/secret_types/arbitrary/secrets/inside')).body.id, secret.body.id)
})

test('an instance has at most 200 groups', async () => {
  const { call } = await startSecretsManager()
  for (let n = 1; n < 200; n++) assert.equal((await call('POST', '/secret_groups', { name: `group-${n}` })).status, 201)
  const reply = await call('POST', '/secret_groups', { name: 'one-more' })
  assert.equal(reply.status, 400)
  assert.match(reply.body.errors[0].message, /reached the maximum/)
})
