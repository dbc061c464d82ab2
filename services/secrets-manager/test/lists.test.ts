import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSecretsManager } from './platform.ts'

async function withSecrets() {
  const sm = await startSecretsManager()
  const group = (await sm.call('POST', '/secret_groups', { name: 'other' })).body.id
  const make = async (name: string, change: object = {}) => {
    await sm.world.advance(1_000)
    const made = await sm.call('POST', '/secrets', { secret_type: 'arbitrary', name, payload: `data of ${name}`, ...change })
    assert.equal(made.status, 201, made.text)
  }
  await make('alpha', { labels: ['dev', 'us-south'], description: 'The First' })
  await make('beta', { labels: ['dev'], secret_group_id: group, expiration_date: '2030-01-01T00:00:00Z' })
  await make('gamma', { labels: ['us-south', 'dev 2'] })
  const names = async (query: string): Promise<string[]> => {
    const reply = await sm.call('GET', `/secrets?${query}`)
    assert.equal(reply.status, 200, reply.text)
    return reply.body.secrets.map((secret: { name: string }) => secret.name)
  }
  return { ...sm, group, names }
}

test('lists are filtered, searched and sorted', async () => {
  const { names, group } = await withSecrets()
  for (const [query, wanted] of [
    ['', ['alpha', 'beta', 'gamma']],
    ['sort=-created_at', ['gamma', 'beta', 'alpha']],
    ['sort=name', ['alpha', 'beta', 'gamma']],
    ['sort=-expiration_date', ['beta']],
    ['search=ALPH', ['alpha']],
    ['search=the%20first', ['alpha']],
    ['search=us-so', ['alpha', 'gamma']],
    ['search=arbitrary', ['alpha', 'beta', 'gamma']],
    ['search=100%25', []],
    ['groups=default', ['alpha', 'gamma']],
    [`groups=${group}`, ['beta']],
    [`groups=${group},default`, ['alpha', 'beta', 'gamma']],
    ['groups=default,cac40995-c37a-4dcb-9506-472869077634', ['alpha', 'gamma']],
    ['secret_types=kv,imported_cert', []],
    ['secret_types=kv,arbitrary', ['alpha', 'beta', 'gamma']],
    ['match_all_labels=dev', ['alpha', 'beta']],
    ['match_all_labels=dev,us-south', ['alpha']],
    ['match_all_labels=de', []],
    ['match_all_labels=DEV', []],
    ['match_all_labels=dev%202', ['gamma']],
  ] as const) {
    const found = await names(query)
    assert.deepEqual(query === 'sort=-expiration_date' ? found.slice(0, 1) : found, wanted, query)
  }
})

test('lists never hold data', async () => {
  const { call } = await withSecrets()
  assert.doesNotMatch((await call('GET', '/secrets')).text, /data of|payload/)
})

test('pages follow their next link to the end and keep the filters', async () => {
  const { call } = await withSecrets()
  const seen: string[] = []
  let url: string | undefined = '/secrets?limit=1&search=arbitrary'
  for (let n = 0; url !== undefined && n < 5; n++) {
    const { body } = await call('GET', url)
    seen.push(...body.secrets.map((secret: { name: string }) => secret.name))
    assert.equal(body.total_count, 3)
    url = body.next === undefined ? undefined : new URL(body.next.href).pathname + new URL(body.next.href).search
    assert.ok(url === undefined || url.includes('search=arbitrary'))
  }
  assert.deepEqual(seen, ['alpha', 'beta', 'gamma'])
})

for (const query of [
  'limit=0',
  'limit=1001',
  'limit=x',
  'offset=-1',
  'offset=10000001',
  'sort=payload',
  'search=a',
  `search=${'a'.repeat(129)}`,
  'secret_types=nonsense',
  'groups=a&groups=b',
])
  test(`a list with ${query.slice(0, 30)} is refused`, async () => {
    const { call } = await startSecretsManager()
    assert.equal((await call('GET', `/secrets?${query}`)).status, 400)
  })
