import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { grep, ids, word } from '../support/awk.ts'
import { chainMaker } from '../support/certificates.ts'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { platformForAll } from '../support/for-all.ts'
import { endpointsOf, freshHome } from '../support/platform.ts'

const place = freshHome()
const ibmcloud = ibmcloudOf(place)
const { done, json } = ibmcloud
platformForAll(place)

const lineOf = (text: string, part: string): string => grep(text, part)[0] ?? ''
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

test('plug-ins are listed as scripts count them, and installing one is no failure', async () => {
  const lines = (await done('plugin', 'list')).split('\n').filter((line) => /secrets-manager|event-notifications|code-engine/.test(line))
  assert.equal(lines.length, 3)
  await done('plugin', 'install', 'en@0.2.0')
  assert.equal((await ibmcloud('plugin', 'install', 'watson')).status, 1)
})

test('topics, destinations and subscriptions stand in the columns that scripts cut, and their lists end with --force', async () => {
  const id = (await endpointsOf(place.home)).EVENT_NOTIFICATIONS_GUID ?? ''
  await done('resource', 'service-instance-create', 'en-columns', 'event-notifications', 'lite', 'au-syd')
  const [{ guid = '' } = {}] = await json<{ guid: string }[]>('resource', 'service-instance', 'en-columns', '-q')
  assert.notEqual(guid, id)
  const en = (...args: readonly string[]) => done('en', ...args, `--instance-id=${guid}`)
  const [topic = '', ...others] = ids(await en('topic-create', '--name=en-topic', '--description=This is a topic'))
  assert.match(topic, UUID)
  assert.deepEqual(others, [])
  assert.equal(word(lineOf(await en('topics'), 'en-topic'), 8), topic)
  const config = JSON.stringify({ params: { type: 'application', url: 'https://app.example.com', verb: 'post', custom_headers: {}, sensitive_headers: [] } })
  const [destination = '', ...more] = ids(await en('destination-create', '--name=en-destination', '--type=ibmce', `--config=${config}`))
  assert.match(destination, UUID)
  assert.deepEqual(more, [])
  assert.equal(word(lineOf(await en('destinations'), 'en-destination'), 5), destination)
  const [subscription = ''] = ids(await en('subscription-create', '--name=en-sub', `--destination-id=${destination}`, `--topic-id=${topic}`))
  assert.match(lineOf(await en('subscriptions'), 'en-sub'), new RegExp(`en-topic +en-destination +ibmce .* ${subscription}$`))
  await done('en', 'init', `--instance-id=${guid}`)
  await done('en', 'topic-update', '--id', topic, '--description', 'Another')
  const changed = await json<{ name: string; description: string }>('en', 'topic', '--id', topic)
  assert.deepEqual([changed.name, changed.description], ['en-topic', 'Another'])
  assert.equal((await ibmcloud('en', 'topic-delete', '--id', topic)).status, 2)
  await done('en', 'subscription-delete', '--id', subscription, '-f')
  await done('en', 'topic-delete', '--id', topic, '-f')
  assert.equal(lineOf(await done('en', 'topics'), 'en-topic'), '')
})

test("an instance's name of IBM's leads to it, and a name of somebody else's is refused", async () => {
  await done('resource', 'service-instance-create', 'sm-named', 'secrets-manager', 'trial', 'au-syd')
  const [{ guid = '' } = {}] = await json<{ guid: string }[]>('resource', 'service-instance', 'sm-named', '-q')
  const named = ibmcloudOf(place, { SECRETS_MANAGER_URL: `https://${guid}.au-syd.secrets-manager.appdomain.cloud` })
  await named.done('sm', 'secret-group-create', '--name', 'only-here')
  assert.match(await done('sm', 'secret-groups', '--instance-id', guid, '--region', 'au-syd'), /^only-here /m)
  assert.doesNotMatch(await done('sm', 'secret-groups'), /only-here/)
  await done('sm', 'config', 'set', 'service-url', `https://${guid}.private.au-syd.secrets-manager.appdomain.cloud`)
  assert.match(await done('sm', 'secret-groups'), /only-here/)
  await done('sm', 'config', 'unset', 'service-url')
  const elsewhere = await ibmcloudOf(place, { SECRETS_MANAGER_URL: 'https://vault.example.com' })('sm', 'secrets')
  assert.equal(elsewhere.status, 1)
  assert.match(elsewhere.stderr, /vault\.example\.com, for which Everleaf does not stand/)
})

test('a certificate is stored, rotated and shown without its key; with --output json it is whole', async () => {
  const maker = await chainMaker()
  const [first, second] = [await maker.leaf(['example.com']), await maker.leaf(['example.com'])]
  const prototype = JSON.stringify({ name: 'sm-cert', secret_type: 'imported_cert', certificate: first.certificate, private_key: first.privateKey })
  const { id } = await json<{ id: string }>('secrets-manager', 'secret-create', `--secret-prototype=${prototype}`, '--quiet')
  const shown = await done('sm', 'secret', '--id', id)
  assert.match(shown, /private_key: shown with --output json/)
  assert.doesNotMatch(shown, /BEGIN/)
  const files = { certificate: join(place.home, 'new.pem'), key: join(place.home, 'new.key') }
  writeFileSync(files.certificate, second.certificate)
  writeFileSync(files.key, second.privateKey, { mode: 0o600 })
  await done(
    'sm',
    'secret-version-create',
    '--secret-id',
    id,
    '--imported-cert-certificate',
    `@${files.certificate}`,
    '--imported-cert-private-key',
    `@${files.key}`,
  )
  const whole = await json<{ certificate: string; versions_total: number }>('sm', 'secret', '--id', id)
  assert.equal(whole.certificate.trim(), readFileSync(files.certificate, 'utf8').trim())
  assert.equal(whole.versions_total, 2)
  assert.match(await done('sm', 'secrets', '--output', 'yaml'), /^ +name: sm-cert$/m)
  const both = await ibmcloud('sm', 'secret-create', '--secret-prototype={}', '--secret-name', 'x')
  assert.equal(both.status, 2)
  assert.match(both.stderr, /leave --secret-name out/)
  await done('sm', 'secret-delete', '--id', id, '-f')
  assert.equal((await ibmcloud('sm', 'secret', '--id', id)).status, 1)
})
