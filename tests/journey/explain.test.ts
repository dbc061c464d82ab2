import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { platformForAll } from '../support/for-all.ts'
import { everleaf, freshHome, type Running } from '../support/platform.ts'
import { jobsOf } from '../support/jobs.ts'

const place = freshHome()
const { done, json } = ibmcloudOf(place)
let platform: Running
platformForAll(place, (running) => {
  platform = running
})

type Explanation = {
  allowed: boolean
  steps: { what: string; ok: boolean; text: string; mend?: string }[]
  refused?: { at: number; requestId: string; action?: string }
}
const explain = async (...words: readonly string[]) => {
  const { status, stdout, stderr } = await everleaf(['iam', 'explain', ...words], { home: place.home })
  return { status, stdout, stderr }
}
const explained = async (...words: readonly string[]) => {
  const { status, stdout, stderr } = await explain(...words, '--json')
  assert.ok(status === 0 || status === 1, stderr)
  return { status, ...(JSON.parse(stdout) as Explanation) }
}
const failing = ({ steps }: Explanation) => steps.find(({ ok }) => !ok)

test(
  'each thing that may be missing between a job and a bucket is named in its turn, with the command that mends it, and the command does',
  { timeout: 120_000 },
  async () => {
    const jobs = jobsOf(platform)
    await jobs.image('reader', { 'index.js': '', 'package.json': '{"name":"reader","scripts":{"start":"node index.js"}}' })
    await done('resource', 'service-instance-create', 'store', 'cloud-object-storage', 'standard', 'global')
    const [{ guid, crn } = { guid: '', crn: '' }] = await json<{ guid: string; crn: string }[]>('resource', 'service-instance', 'store')
    const bucket = `${crn.replace(/::$/, '')}:bucket:photos`
    const asked = ['--profile', 'readers', '--job', 'list', '--action', 'cloud-object-storage.object.get', '--on', bucket] as const
    const mended = async (what: string, command: RegExp) => {
      const result = await explained(...asked)
      assert.deepEqual([result.status, result.allowed, failing(result)?.what], [1, false, what], JSON.stringify(result.steps))
      const { mend = '' } = failing(result) ?? {}
      assert.match(mend, command)
      return mend
    }
    const typed = (mend: string) =>
      done(
        ...mend
          .replace(/^ibmcloud /, '')
          .split(/ (?=(?:[^']*'[^']*')*[^']*$)/)
          .map((word) => word.replaceAll("'", '')),
      )

    await mended('component', /^ibmcloud ce job list/)
    await jobs.create({ name: 'list', image_reference: 'private/reader' })
    await typed(await mended('component', /^ibmcloud ce job update --name list --trusted-profiles-enabled=true$/))
    await mended('profile', /trusted-profile-create/)
    await done('iam', 'trusted-profile-create', 'readers')
    await typed(await mended('link', /^ibmcloud iam trusted-profile-link-create readers .*--link-component-type job --link-component-name list$/))
    await typed(
      await mended('policy', /^ibmcloud iam trusted-profile-policy-create readers --roles \S.* --service-name cloud-object-storage .*--resource photos$/),
    )
    const allowed = await explained(...asked)
    assert.deepEqual([allowed.status, allowed.allowed], [0, true])
    assert.ok(allowed.steps.every(({ ok }) => ok))

    const other = await explained('--profile', 'readers', '--action', 'cloud-object-storage.object.get', '--on', bucket.replace('photos', 'other'))
    assert.deepEqual([other.status, failing(other)?.what], [1, 'policy'])
    const writing = await explained('--profile', 'readers', '--action', 'cloud-object-storage.object.delete', '--on', bucket)
    assert.deepEqual([failing(writing)?.what, /Object|Content|Manager|Writer/.test(failing(writing)?.mend ?? '')], ['role', true])
    assert.ok(guid.length > 0)
  },
)

test('the last refusals are listed by the id that the caller was answered with, and say when they would be allowed by now', { timeout: 120_000 }, async () => {
  const service = await json<{ iam_id: string; name: string }>('iam', 'service-id-create', 'walker')
  const { apikey } = await json<{ apikey: string }>('iam', 'service-api-key-create', 'walker-key', 'walker')
  const tokenReply = await fetch(`${platform.env.IAM_AUTH_URL}/identity/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey }),
  })
  const { access_token: token } = (await tokenReply.json()) as { access_token: string }
  const read = () => fetch(`${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`, { headers: { authorization: `Bearer ${token}` } })
  const refused = await read()
  assert.equal(refused.status, 403)
  const id = refused.headers.get('x-request-id') ?? ''
  assert.equal(((await refused.json()) as { trace: string }).trace, id, 'the body names the same id')
  const list = JSON.parse((await explain('--last', '1', '--json')).stdout) as Explanation[]
  assert.equal(list.length, 1)
  assert.deepEqual(
    [list[0]?.refused?.requestId, list[0]?.refused?.action, failing(list[0] as Explanation)?.what],
    [id, 'secrets-manager.secrets.list', 'policy'],
  )
  const shown = (await explain()).stdout
  assert.match(shown, new RegExp(`secrets-manager\\.secrets\\.list +${id}`))
  assert.match(shown, /no +policy +It has no policy/)
  assert.match(shown, /to do: +ibmcloud iam service-policy-create walker --roles \S+ --service-name secrets-manager/)
  assert.ok(!shown.includes(apikey) && !shown.includes(token))

  await done('iam', 'service-policy-create', 'walker', '--roles', 'Reader', '--service-name', 'secrets-manager')
  assert.equal((await read()).status, 200)
  assert.match((await explain('--last', '1')).stdout, /It was refused then; by the links and policies of now it is allowed/)
  assert.ok(service.iam_id.startsWith('iam-ServiceId-'))
})

test('a grant that was refused is explained though its caller is told nothing', { timeout: 60_000 }, async () => {
  const reply = await fetch(`${platform.env.IAM_AUTH_URL}/identity/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'urn:ibm:params:oauth:grant-type:cr-token', cr_token: 'a.b.c', profile_name: 'readers' }),
  })
  assert.equal(reply.status, 400)
  const [last] = JSON.parse((await explain('--last', '1', '--json')).stdout) as Explanation[]
  assert.deepEqual([last?.allowed, last?.steps.map(({ what }) => what)], [false, ['token']])
})

for (const [words, problem] of [
  [['--action', 'x'], /--action and --on go together/],
  [['--profile', 'p', '--identity', 'i', '--app', 'a'], /Say who asks/],
  [['--app', 'a'], /Say who asks/],
  [['--profile', 'p', '--app', 'a', '--job', 'b'], /contradict each other/],
  [['--profile', 'readers'], /Say what is asked/],
  [['--profile', 'p', '--action', 'x', '--on', 'my-bucket'], /--on takes a CRN/],
  [['--profile', 'nobody', '--action', 'x', '--on', 'crn:v1:a:b:c:d:e:f::'], /There is no trusted profile nobody/],
  [['--last', '0'], /--last takes a number from 1 to 200/],
  [['--last', '3', '--profile', 'p'], /--last lists refusals/],
] as const)
  test(`wrong use: ${words.join(' ')}`, async () => {
    const { status, stdout, stderr } = await explain(...words)
    assert.equal(status, 2, stderr)
    assert.match(stderr, problem)
    assert.equal(stdout, '')
  })
