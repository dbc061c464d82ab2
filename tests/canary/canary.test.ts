import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { chainMaker } from '../support/certificates.ts'
import { filesBelow } from '../support/files.ts'
import { deploy, webApp } from '../support/pipeline.ts'
import { eventually, everleaf, freshHome, processesOf, startPlatform } from '../support/platform.ts'
import { servedLeaf } from '../support/tls.ts'

const HOST = 'canary.example.com'

/** The middle of a PEM key: what no encoding of it can be without. */
function heartOf(pem: string): string {
  const lines = pem.trim().split('\n')
  return lines[Math.floor(lines.length / 2)] ?? ''
}

test('secrets are nowhere but sealed, in the files of the app that owns them, and with those who may read them', { timeout: 180_000 }, async () => {
  using place = freshHome()
  await using platform = await startPlatform(place)
  const project = `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
  const secrets = `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`
  const instance = `${platform.env.EVENT_NOTIFICATIONS_URL}/v1/instances/${platform.env.EVENT_NOTIFICATIONS_GUID}`
  const canary = () => `canary${randomBytes(16).toString('hex')}`
  const planted = { arbitrary: canary(), generic: canary(), mounted: canary(), header: canary(), badKey: canary() }
  const must = async (what: ReturnType<typeof platform.api>) => {
    const answer = await what
    assert.ok(answer.status < 300, `${answer.status} ${answer.text}`)
    return answer.body
  }
  const { leaf } = await chainMaker()
  const bundles = [await leaf([HOST]), await leaf([HOST]), await leaf(['elsewhere.example.com'])] as const
  const material = ({ certificate, intermediate, privateKey }: (typeof bundles)[number]) => ({ certificate, intermediate, private_key: privateKey })

  await must(platform.api('POST', secrets, { secret_type: 'arbitrary', name: 'an-arbitrary', payload: planted.arbitrary }))
  await must(platform.api('POST', `${project}/secrets`, { name: 'generic', format: 'generic', data: { value: planted.generic } }))
  await must(platform.api('POST', `${project}/secrets`, { name: 'mounted', format: 'generic', data: { value: planted.mounted } }))
  await must(
    platform.api('POST', `${instance}/destinations`, {
      name: 'd',
      type: 'ibmce',
      config: {
        params: {
          type: 'application',
          url: 'https://nowhere.example.com',
          verb: 'post',
          custom_headers: { 'X-Canary': planted.header },
          sensitive_headers: ['X-Canary'],
        },
      },
    }),
  )
  const mounts = {
    run_volume_mounts: [{ type: 'secret', mount_path: '/mnt/secret', reference: 'mounted' }],
    run_env_variables: [{ type: 'secret_key_reference', name: 'GENERIC', reference: 'generic', key: 'value' }],
  }
  const endpoint = await deploy(
    platform,
    'shop',
    webApp(`response.end(String(require('fs').readFileSync('/mnt/secret/value').length + process.env.GENERIC.length))`),
    mounts,
  )
  assert.match(endpoint, /^https:/)
  const secret = await must(platform.api('POST', secrets, { secret_type: 'imported_cert', name: 'canary', ...material(bundles[0]) }))
  assert.equal((await everleaf(['renew', 'create', 'canary', '--host', HOST, '--secret', 'canary', '--app', 'shop'], place)).status, 0)
  await must(platform.api('POST', `${secrets}/${secret.id}/versions`, material(bundles[1])))
  await eventually(
    'the second certificate is served',
    async () => (await servedLeaf(HOST, platform.ports.public).catch(() => '')) === bundles[1].fingerprint,
    60_000,
  )
  // Failures on the way: names that do not cover the host, a key that fits nothing, JSON that is none.
  await must(platform.api('POST', `${secrets}/${secret.id}/versions`, material(bundles[2])))
  await eventually(
    'the refusal',
    async () => (JSON.parse((await everleaf(['renew', 'list', '--json'], place)).stdout) as { state: string }[])[0]?.state === 'refused',
    60_000,
  )
  const wrongKey = `-----BEGIN PRIVATE KEY-----\n${planted.badKey}\n-----END PRIVATE KEY-----`
  assert.equal(
    (await platform.api('POST', secrets, { secret_type: 'imported_cert', name: 'bad', certificate: bundles[0].certificate, private_key: wrongKey })).status,
    400,
  )
  assert.equal((await platform.api('POST', secrets, `{"payload":"${planted.arbitrary}`)).status, 400)

  const needles = {
    ...planted,
    key0: heartOf(bundles[0].privateKey),
    key1: heartOf(bundles[1].privateKey),
    key2: heartOf(bundles[2].privateKey),
    apikey: platform.env.IBMCLOUD_API_KEY ?? '',
    token: await platform.token(),
  }
  const inProcesses = processesOf(place.home).map((line) => {
    const pid = line.split(' ')[0]
    const environ = readFileSync(`/proc/${pid}/environ`, 'utf8')
    return [line, environ] as const
  })
  const written = [...filesBelow(place.home)]
  const output = platform.output()
  await platform.stop()
  // At rest nothing is left in clear, not even what apps had mounted.
  const atRest = [...filesBelow(place.home)]

  const found: string[] = []
  for (const [what, needle] of Object.entries(needles)) {
    assert.ok(needle.length > 20, `${what} is too short to look for`)
    for (const [file, bytes] of written)
      if (bytes.includes(needle) && !(what === 'apikey' && file === '/login.json') && !(what === 'mounted' && file.startsWith('/run/mounts/')))
        found.push(`${what} in ${file}`)
    for (const [file, bytes] of atRest) if (bytes.includes(needle) && !(what === 'apikey' && file === '/login.json')) found.push(`${what} at rest in ${file}`)
    if (output.includes(needle)) found.push(`${what} in the output`)
    for (const [line, environ] of inProcesses) {
      if (line.includes(needle)) found.push(`${what} in the arguments of ${line.slice(0, 80)}`)
      // An instance has the secrets that its app names in its own environment.
      if (environ.includes(needle) && !(what === 'generic' && /server\.js/.test(line))) found.push(`${what} in the environment of ${line.slice(0, 80)}`)
    }
  }
  assert.deepEqual(found, [])
  assert.ok(
    written.some(([file]) => file.endsWith('everleaf.db')) && written.some(([file]) => file.startsWith('/data/logs/')),
    'there was something to look through',
  )
})
