import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { platformForAll } from '../support/for-all.ts'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { eventually, freshHome, type Running } from '../support/platform.ts'

/* Events that start runs of a job, as IBM's github-webhook sample sets it up: source, topic, destination of type job, subscription. */
const LIMIT = { timeout: 120_000 }
const place = freshHome()
const ibmcloud = ibmcloudOf(place)
const { done, json } = ibmcloud
let platform: Running
platformForAll(place, (running) => {
  platform = running
})

type Item = { id: string }
type Runs = { items: { metadata: { name: string } }[] }

test('an event starts one run of a job, which finds it in ibmendata; first the right to is asked for', LIMIT, async () => {
  const source = join(place.home, 'builder')
  mkdirSync(source)
  writeFileSync(
    join(source, 'index.js'),
    `const { data, type, id } = JSON.parse(process.env.ibmendata)\nconsole.log('built', data.branch, 'for', type, id, process.env.BUILD_NAME)\n`,
  )
  await done('ce', 'job', 'create', '--name', 'builder-job', '--build-source', source, '--env', 'BUILD_NAME=mine', '--array-indices', '0-4')
  const [project] = await json<Item[]>('resource', 'service-instances', '--service-name', 'codeengine', '-q')
  const guid = String(platform.env.EVENT_NOTIFICATIONS_GUID)
  const en = (...words: string[]) => [...words, '--instance-id', guid]
  const { id: from } = await json<Item>('en', ...en('sources-create', '--name', 'webhook-source', '--description', 'foo', '--enabled', 'true'))
  const rules = JSON.stringify([{ id: from, rules: [{ enabled: true, event_type_filter: '$.*' }] }])
  const { id: topic } = await json<Item>('en', ...en('topic-create', '--name', 'webhook-topic', '--description', 'foo', `--sources=${rules}`))
  const config = `{"params": {"type":"job","project_crn":"${project?.id}", "job_name": "builder-job"}}`
  const destination = en('destination-create', '--name', 'webhook-destination', '--type', 'ibmce', '--config', config)
  const refused = await ibmcloud('en', ...destination)
  assert.equal(refused.status, 1, refused.stdout)
  const command = /ibmcloud (iam authorization-policy-create event-notifications codeengine Viewer,Writer)/.exec(refused.stderr)?.[1]
  assert.ok(command !== undefined, refused.stderr)
  for (const role of ['Viewer', 'Writer']) {
    const { id } = await json<Item>('iam', 'authorization-policy-create', 'event-notifications', 'codeengine', role)
    assert.equal((await ibmcloud('en', ...destination)).status, 1, `${role} alone`)
    await done('iam', 'authorization-policy-delete', id, '-f')
  }
  await done(...command.split(' '))
  const { id: to } = await json<Item>('en', ...destination)
  await done('en', ...en('subscription-create', '--name', 'webhook-subscription', '--topic-id', topic, '--destination-id', to))
  const event = {
    specversion: '1.0',
    id: 'push-1',
    source: from,
    type: 'push',
    ibmensourceid: from,
    ibmendefaultshort: 's',
    ibmendefaultlong: 'l',
    data: { branch: 'main' },
  }
  const sent = await platform.api('POST', `${platform.env.EVENT_NOTIFICATIONS_URL}/v1/instances/${guid}/notifications`, event)
  assert.equal(sent.status, 202, sent.text)
  const runs = async () => (await json<Runs>('ce', 'jobrun', 'list', '--job', 'builder-job')).items.map(({ metadata }) => metadata.name)
  const [run = ''] = await eventually('a run of the job', async () => ((await runs()).length > 0 ? await runs() : undefined))
  await eventually('its end', async () => /Succeeded/i.test(await done('ce', 'jobrun', 'get', '-n', run)))
  assert.match(await done('ce', 'jobrun', 'logs', '-n', run), /built main for push push-1 mine/)
  assert.equal((await runs()).length, 1)
})
