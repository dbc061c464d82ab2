import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSecretsManager } from './platform.ts'

// The steps of the official SDKs' generated integration run (api sheet §18) that need no locks and no configurations, with its values.
test("the official SDKs' generated run passes", async () => {
  const { call } = await startSecretsManager()
  const group = await call('POST', '/secret_groups', { name: 'my-secret-group' })
  assert.equal(group.status, 201)
  const made = await call('POST', '/secrets', {
    secret_type: 'arbitrary',
    name: 'example-arbitrary-secret',
    custom_metadata: { anyKey: 'anyValue' },
    description: 'Description of my arbitrary secret.',
    expiration_date: '2030-10-05T11:49:42Z',
    labels: ['dev', 'us-south'],
    secret_group_id: 'default',
    payload: 'secret-data',
    version_custom_metadata: { anyKey: 'anyValue' },
  })
  assert.equal(made.status, 201)
  const { id } = made.body
  const renamed = await call('PATCH', `/secrets/${id}/metadata`, {
    name: 'updated-arbitrary-secret-name-example',
    description: 'updated Arbitrary Secret description',
    labels: ['dev', 'us-south'],
    custom_metadata: { anyKey: 'anyValue' },
    expiration_date: '2033-04-12T23:20:50.520Z',
  })
  assert.deepEqual(
    [renamed.status, renamed.body.name, renamed.body.expiration_date],
    [200, 'updated-arbitrary-secret-name-example', '2033-04-12T23:20:50.520Z'],
  )
  const [version] = (await call('GET', `/secrets/${id}/versions`)).body.versions
  assert.deepEqual([version.secret_id, version.alias, version.secret_type], [id, 'current', 'arbitrary'])
  assert.equal((await call('GET', '/secret_groups')).status, 200)
  assert.equal((await call('GET', `/secret_groups/${group.body.id}`)).status, 200)
  assert.equal((await call('PATCH', `/secret_groups/${group.body.id}`, { name: 'my-secret-group', description: 'Updated description' })).status, 200)
  const filters = 'sort=created_at&search=example&groups=default,cac40995-c37a-4dcb-9506-472869077634&secret_types=arbitrary,kv&match_all_labels=dev,us-south'
  const whole = await call('GET', `/secrets?offset=0&limit=200&${filters}`)
  assert.deepEqual([whole.status, whole.body.secrets.length], [200, 1])
  assert.equal((await call('GET', `/secrets?limit=10&${filters}`)).body.secrets.length, 1)
  assert.equal((await call('GET', `/secrets/${id}`)).body.payload, 'secret-data')
  assert.equal((await call('GET', `/secrets/${id}/metadata`)).status, 200)
  const byName = await call('GET', '/secret_groups/default/secret_types/arbitrary/secrets/updated-arbitrary-secret-name-example')
  assert.deepEqual([byName.status, byName.body.id], [200, id])
  const rotated = await call('POST', `/secrets/${id}/versions`, {
    payload: 'updated secret credentials',
    custom_metadata: { anyKey: 'anyValue' },
    version_custom_metadata: { anyKey: 'anyValue' },
  })
  assert.deepEqual([rotated.status, rotated.body.payload, rotated.body.expiration_date], [201, 'updated secret credentials', '2033-04-12T23:20:50.520Z'])
  assert.equal((await call('GET', `/secrets/${id}/versions/${version.id}`)).body.payload, 'secret-data')
  assert.equal((await call('GET', `/secrets/${id}/versions/${version.id}/metadata`)).body.alias, 'previous')
  assert.equal((await call('PATCH', `/secrets/${id}/versions/${version.id}/metadata`, { version_custom_metadata: { anyKey: 'anyValue' } })).status, 200)
  const crn = 'crn:v1:bluemix:public:event-notifications:us-south:a/22018f3c34ff4ff193698d15ca316946:578ad1a4-2fd8-4e66-95d5-79a842ba91f8::'
  const registration = {
    event_notifications_instance_crn: crn,
    event_notifications_source_name: 'My Secrets Manager',
    event_notifications_source_description: 'x',
  }
  assert.equal((await call('POST', '/notifications/registration', registration)).status, 201)
  assert.deepEqual((await call('GET', '/notifications/registration')).body, { event_notifications_instance_crn: crn })
  assert.equal((await call('GET', '/notifications/registration/test')).status, 204)
  assert.equal((await call('DELETE', `/secret_groups/${group.body.id}`)).status, 204)
  assert.equal((await call('DELETE', `/secrets/${id}?force_delete=false`)).status, 204)
  assert.equal((await call('DELETE', '/notifications/registration')).status, 204)
})

test('an arbitrary secret can lose its expiry and, once expired, its data', async () => {
  const { call, world } = await startSecretsManager()
  const make = async (name: string) =>
    (await call('POST', '/secrets', { secret_type: 'arbitrary', name, payload: 'x', expiration_date: '2026-11-22T13:00:00Z' })).body.id
  const [kept, lost] = [await make('kept'), await make('lost')]
  assert.equal('expiration_date' in (await call('PATCH', `/secrets/${kept}/metadata`, { expiration_date: null })).body, false)
  await world.advance(3_600_000)
  assert.equal((await call('GET', `/secrets/${kept}`)).body.payload, 'x')
  const gone = (await call('GET', `/secrets/${lost}`)).body
  assert.deepEqual([gone.state, 'payload' in gone], [5, false])
  assert.equal((await call('PATCH', `/secrets/${lost}/metadata`, { expiration_date: null })).status, 400)
  assert.equal((await call('POST', `/secrets/${lost}/versions`, { payload: 'y' })).status, 201)
  assert.deepEqual([(await call('GET', `/secrets/${lost}`)).body.payload, (await call('GET', `/secrets/${lost}`)).body.state], ['y', 1])
})

for (const [what, change] of [
  ['in the past', '2026-11-22T11:59:59Z'],
  ['without a time', '2030-10-05T00:00:00 or so'],
  ['that does not exist', '2030-13-45T00:00:00Z'],
] as const) {
  test(`an expiration_date ${what} is refused`, async () => {
    const { call } = await startSecretsManager()
    assert.equal((await call('POST', '/secrets', { secret_type: 'arbitrary', name: 'ab', payload: 'x', expiration_date: change })).status, 400)
  })
}
