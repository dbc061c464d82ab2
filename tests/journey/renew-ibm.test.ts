import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { chainMaker } from '../support/certificates.ts'
import { everything } from '../support/listing.ts'
import { buildImage, deploy, webApp } from '../support/pipeline.ts'
import { couldNotRun, environment, everleaf, finish, freshHome, ROOT, type Running, startPlatform } from '../support/platform.ts'
import { servedLeaf } from '../support/tls.ts'

/*
 * `--target ibm` against Everleaf under IBM's host names: with a hosts file of its own that leads them to the platform, and with a home of
 * its own in which there is no platform to find. What the command does not get from IBM's public endpoints it does not get. Everleaf
 * pulls no images: that of Node, by whose `node` sync runs, is one of a build of the project that carries its name.
 */
const NODE_IMAGE = 'registry.access.redhat.com/ubi9/nodejs-24-minimal:latest'
type Right = { role: string; role_id: string; service: string; instance?: string }
type Plan = { steps: { kind: string; name: string; what: string; call: string }[]; rights: Right[] }

const place = freshHome()
const elsewhere = freshHome()
const path = (name: string) => join(elsewhere.home, name)
let platform: Running
let account = ''
before(async () => {
  platform = await startPlatform(place)
  await deploy(platform, 'shop', webApp(`response.end('shop')`))
  await buildImage(platform, 'node', { files: webApp(`response.end('not sync')`), image: NODE_IMAGE })
  account = String((JSON.parse(Buffer.from((await platform.token()).split('.')[1] ?? '', 'base64url').toString()) as { account: { bss: string } }).account.bss)
})
after(async () => {
  await platform.stop()
  for (const one of [place, elsewhere]) one[Symbol.dispose]()
})

const must = async (method: string, url: string, body?: unknown) => {
  const answer = await platform.api(method, url, body, method === 'PUT' ? { 'if-match': '*' } : {})
  assert.ok(answer.status < 300, `${method} ${url}: ${answer.status} ${answer.text}`)
  return answer.body
}

/** A service ID with these rights and no others; resolves with its API key. */
async function identityWith(name: string, rights: readonly Right[]): Promise<string> {
  const iam = String(platform.env.IAM_AUTH_URL)
  const made = (await must('POST', `${iam}/v1/serviceids/`, { account_id: account, name, apikey: { name } })) as { iam_id: string; apikey: { apikey: string } }
  for (const { role_id, service, instance } of rights) {
    const of = { accountId: account, serviceName: service, ...(instance === undefined ? {} : { serviceInstance: instance }) }
    await must('POST', `${iam}/v2/policies`, {
      type: 'access',
      subject: { attributes: [{ key: 'iam_id', operator: 'stringEquals', value: made.iam_id }] },
      resource: { attributes: Object.entries(of).map(([key, value]) => ({ key, operator: 'stringEquals', value })) },
      control: { grant: { roles: [{ role_id }] } },
    })
  }
  return made.apikey.apikey
}

test('on IBM Cloud, as Everleaf answers under its names: plan, apply with the smallest rights, proof, sweep, delete', { timeout: 300_000 }, async () => {
  const name = '--target ibm under the host names of IBM Cloud'
  if (platform.ports.fixedNames === null) return couldNotRun(name, "port 443 of the platform's own address cannot be had")
  if (spawnSync('unshare', ['-m', 'true']).status !== 0) return couldNotRun(name, 'a mount namespace cannot be had: run the tests as root')
  const hosts = (await everleaf(['hosts'], place)).stdout
  mkdirSync(elsewhere.home, { recursive: true })
  writeFileSync(path('hosts'), `127.0.0.1 localhost\n${hosts}`)
  const maker = await chainMaker()
  const write = (bundle: Awaited<ReturnType<typeof maker.leaf>>) => {
    writeFileSync(path('shop.pem'), `${bundle.certificate}\n${bundle.intermediate}`)
    writeFileSync(path('shop.key'), bundle.privateKey)
  }
  write(await maker.leaf(['shop.example.com']))
  const { public: port } = platform.ports
  writeFileSync(
    path('everleaf.yaml'),
    `version: 1
target: ibm
region: eu-de
project: ${platform.env.CODE_ENGINE_PROJECT_ID}
secretsManager: everleaf-secrets-manager
eventNotifications: everleaf-event-notifications
renewals:
  - name: shop
    source: { certificate: shop.pem, key: shop.key }
    hosts: [{ host: shop.example.com, app: shop }]
    probes: [{ host: shop.example.com, port: ${port}, connect: '127.0.0.1:${port}' }]
`,
  )
  const renew = (apiKey: string, ...words: string[]) => {
    const inside = ['-m', 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', path('hosts'), process.execPath, join(ROOT, 'apps/cli/src/main.ts'), 'renew']
    const env = { ...environment(elsewhere), NODE_EXTRA_CA_CERTS: platform.env.NODE_EXTRA_CA_CERTS, IBMCLOUD_API_KEY: apiKey }
    return finish(spawn('unshare', [...inside, ...words], { cwd: elsewhere.home, env, stdio: ['ignore', 'pipe', 'pipe'] }), 120_000)
  }
  const done = async (apiKey: string, ...words: string[]) => {
    const { status, stdout, stderr } = await renew(apiKey, ...words)
    assert.equal(status, 0, `renew ${words.join(' ')}: ${stdout}${stderr}`)
    return stdout
  }
  const without = await renew('', 'plan')
  assert.equal(without.status, 3)
  assert.match(without.stderr, /IBMCLOUD_API_KEY is not set/)

  const before = await everything(platform)
  const plan = JSON.parse(await done(String(platform.env.IBMCLOUD_API_KEY), 'plan', '--json')) as Plan
  assert.ok(plan.steps.length > 15)
  // Everleaf's own route for sources is none of IBM's: the code goes by a config map.
  assert.ok(plan.steps.every(({ kind }) => kind !== 'build'))
  assert.deepEqual(
    plan.steps.filter(({ name: of }) => of === 'sync-code').map(({ call }) => call),
    ['POST /v2/projects/{id}/config_maps'],
  )
  const isProfileRight = ({ role, service }: Right) => role === 'Administrator' && service === 'iam-identity'
  const viewer = { role: 'Viewer', role_id: 'crn:v1:bluemix:public:iam::::role:Viewer', service: 'iam-identity' }
  const tooSmall = await identityWith('too-small', [...plan.rights.filter((right) => !isProfileRight(right)), viewer])
  const stopped = await renew(tooSmall, 'apply')
  assert.equal(stopped.status, 1, stopped.stdout)
  assert.match(stopped.stderr, /trusted profile everleaf-sync\n {2}POST \/v1\/profiles: .*\nThis login may not do it: it needs Administrator on iam-identity\./)

  const key = await identityWith('enough', plan.rights)
  await done(key, 'apply')
  assert.match(await done(key, 'apply'), /Nothing to do/)
  const code = `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}/config_maps/sync-code`
  const { data } = await must('GET', code)
  await must('PUT', code, { data: { 'sync.js': 'throw new Error("not sync")' } })
  assert.match(await done(key, 'apply'), /code of sync[\s\S]*1 step\b/)
  assert.deepEqual((await must('GET', code)).data, data)
  // One more, by somebody who may do no more than that.
  const more = path('more.yaml')
  writeFileSync(
    more,
    `${readFileSync(path('everleaf.yaml'), 'utf8')}  - name: other
    source: { certificate: shop.pem, key: shop.key }
    hosts: [{ host: shop.example.com }]
    probes: [{ host: shop.example.com, port: ${port}, connect: '127.0.0.1:${port}' }]
`,
  )
  const { rights } = JSON.parse(await done(key, 'plan', '--json', '--file', more)) as Plan
  assert.ok(!rights.some(({ role }) => role === 'Administrator' || role === 'Manager'))
  const little = await identityWith('little', rights)
  assert.match(await done(little, 'apply', '--file', more), /3 steps/)
  await done(little, 'delete', 'other')

  const app = await must('GET', `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}/apps/sync`)
  assert.equal(app.image_reference, NODE_IMAGE)
  assert.deepEqual([app.run_commands, app.run_arguments], [['node'], ['/opt/everleaf/sync.js']])
  const variables = new Map((app.run_env_variables as { name: string; value?: string }[]).map(({ name: of, value }) => [of, value]))
  const guid = platform.env.SECRETS_MANAGER_URL?.split('/').at(-1)
  assert.equal(variables.get('IAM_URL'), 'https://private.iam.cloud.ibm.com')
  assert.equal(variables.get('SECRETS_MANAGER_URL'), `https://${guid}.private.eu-de.secrets-manager.appdomain.cloud`)
  assert.match(await done(key, 'sweep'), /shop: in-place/)

  const next = await maker.leaf(['shop.example.com'])
  write(next)
  assert.match(await done(key, 'rotate', 'shop', '--certificate', path('shop.pem'), '--key', path('shop.key')), /shop: proven/)
  assert.equal(await servedLeaf('shop.example.com', port, { ca: maker.root }), next.fingerprint)
  assert.match(await done(key, 'show'), /shop\.example\.com:\d+ +fresh +\d+/)
  // Who makes topics may not delete them: it is said, nothing is forgotten, and who may do it ends it.
  const refused = await renew(key, 'delete', '--all', '-f')
  assert.equal(refused.status, 1)
  assert.match(refused.stdout, /stays: topic sync: .* 403 /)
  assert.match(await done(String(platform.env.IBMCLOUD_API_KEY), 'delete', '--all', '-f'), /Removed\./)
  const [then, now] = [before, await everything(platform)].map(({ policies: _, ...rest }) => rest)
  assert.deepEqual(now, then)
})

for (const [what, member] of [
  ['the project', 'project: p\n'],
  ['the region', 'region: eu-de\n'],
] as const)
  test(`a file that does not say ${what} is refused on IBM Cloud, and no key is sent anywhere`, async () => {
    const text = `version: 1\ntarget: ibm\nregion: eu-de\nproject: p\nsecretsManager: s\neventNotifications: e\nrenewals: []\n`.replace(member, '')
    writeFileSync(path('less.yaml'), text)
    const { status, stderr } = await everleaf(['renew', 'plan', '--file', path('less.yaml')], { ...elsewhere, env: { IBMCLOUD_API_KEY: 'any' } })
    assert.equal(status, 2, stderr)
    assert.match(stderr, /says region, project, secretsManager and eventNotifications/)
  })
