import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { asTheSampleMakesThem, chainMaker, fingerprintOf } from '../support/certificates.ts'
import { deploy, webApp } from '../support/pipeline.ts'
import { couldNotRun, eventually, everleaf, freshHome, type Running, startPlatform } from '../support/platform.ts'
import { servedLeaf } from '../support/tls.ts'

type Listed = {
  name: string
  host: string
  port: number
  secret_id: string
  state: string
  served_fingerprint: string | null
  not_after: string | null
  last_proof_at: string | null
}

const place = freshHome()
let platform: Running
const run = (...words: string[]) => everleaf(words, place)
const file = (name: string, text: string) => {
  const path = join(place.home, name)
  writeFileSync(path, text)
  return path
}
const list = async () => JSON.parse((await run('renew', 'list', '--json')).stdout) as Listed[]
const project = () => `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
const deliveries = async () =>
  (await platform.api('GET', `${platform.env.EVENT_NOTIFICATIONS_URL}/v1/instances/${platform.env.EVENT_NOTIFICATIONS_GUID}/everleaf/deliveries?limit=5`)).body
    .deliveries as { status: number; state: string }[]

before(async () => {
  platform = await startPlatform(place)
  await deploy(platform, 'shop', webApp(`response.end('shop')`))
})
after(async () => {
  await platform.stop()
  place[Symbol.dispose]()
})

test('status, hosts, trust and doctor say what is there', async () => {
  assert.match((await run('status')).stdout, /^ready/)
  assert.match((await run('hosts')).stdout, /127\.0\.0\.1 iam\.everleaf\.localhost/)
  assert.match((await run('trust')).stdout, /BEGIN CERTIFICATE/)
  assert.match((await run('doctor')).stdout, /works {2}platform/)
  assert.deepEqual(await list(), [])
})

test('doctor says what this machine lacks, and is content as long as Everleaf does its work', async () => {
  const ports = join(place.home, 'run/ports.json')
  const asWritten = readFileSync(ports, 'utf8')
  writeFileSync(ports, JSON.stringify({ ...(JSON.parse(asWritten) as object), fixedNames: null }))
  try {
    const { status, stdout } = await run('doctor')
    assert.match(stdout, /not {4}IBM's fixed names: port 443/)
    assert.equal(status, 0)
  } finally {
    writeFileSync(ports, asWritten)
  }
})

for (const algorithm of ['ecdsa', 'rsa'] as const) {
  test(`a user's own ${algorithm} files are kept fresh: create, list, show, rotate, verify, delete`, { timeout: 120_000 }, async () => {
    const name = `own-${algorithm}`
    const host = `${name}.example.com`
    const { leaf, root } = await chainMaker(algorithm)
    const [first, second] = [await leaf([host]), await leaf([host])]
    const files = (bundle: typeof first, tag: string) => [
      '--certificate',
      file(`${name}-${tag}.pem`, bundle.certificate),
      '--key',
      file(`${name}-${tag}.key`, bundle.privateKey),
      '--intermediate',
      file(`${name}-i.pem`, bundle.intermediate),
    ]
    const created = await run('renew', 'create', name, '--host', host, '--app', 'shop', ...files(first, '1'))
    assert.equal(created.status, 0, created.stderr)
    await eventually(
      'the first certificate is served',
      async () => (await servedLeaf(host, platform.ports.public, { ca: root }).catch(() => '')) === first.fingerprint,
    )
    const rotated = await run('renew', 'rotate', name, ...files(second, '2'))
    assert.equal(rotated.status, 0, rotated.stdout + rotated.stderr)
    assert.equal(await servedLeaf(host, platform.ports.public, { ca: root }), second.fingerprint, 'the chain is whole: the client trusts the root alone')
    const listed = (await list()).find((entry) => entry.name === name)
    assert.deepEqual([listed?.host, listed?.port, listed?.state, listed?.served_fingerprint], [host, platform.ports.public, 'fresh', second.fingerprint])
    assert.match(listed?.secret_id ?? '', /^[0-9a-f-]{36}$/)
    assert.ok(Date.parse(listed?.not_after ?? '') > Date.now() && Date.parse(listed?.last_proof_at ?? '') <= Date.now())
    assert.equal((JSON.parse((await run('renew', 'show', name)).stdout) as { state: { state: string } }).state.state, 'fresh')
    assert.equal((await run('renew', 'verify', name)).status, 0)
    assert.equal((await run('renew', 'delete', name)).status, 0)
    assert.equal(
      (await list()).some((entry) => entry.name === name),
      false,
    )
    assert.equal(await servedLeaf(host, platform.ports.public), second.fingerprint, 'what is served stays')
  })
}

test("IBM's sample certificates are stored, refused for want of a SAN, and synced with a warning when told to", { timeout: 180_000 }, async () => {
  const sample = asTheSampleMakesThem()
  if (sample === undefined) return couldNotRun("IBM's sample certificates", 'openssl is not installed')
  const secrets = `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`
  const secret = await platform.api('POST', secrets, { secret_type: 'imported_cert', name: 'sm-cert', certificate: sample.first, private_key: sample.key })
  assert.equal(secret.status, 201, secret.text)
  const tls = await platform.api('POST', `${project()}/secrets`, { name: 'ce-cert', format: 'tls', data: { tls_cert: sample.first, tls_key: sample.key } })
  assert.equal(tls.status, 201, tls.text)
  assert.equal(
    (
      await platform.api('POST', `${project()}/domain_mappings`, {
        name: 'example.com',
        component: { name: 'shop', resource_type: 'app_v2' },
        tls_secret: 'ce-cert',
      })
    ).status,
    201,
  )
  const created = await run('renew', 'create', 'sample', '--host', 'example.com', '--secret', 'sm-cert', '--target', 'ce-cert')
  assert.equal(created.status, 0, created.stderr)
  assert.match(created.stdout, /warning: a version like the present one would be refused:\n {2}no-san/)

  const version = { certificate: sample.second, private_key: sample.key, custom_metadata: { a: 'b' }, version_custom_metadata: { c: 'd' } }
  assert.equal((await platform.api('POST', `${secrets}/${secret.body.id}/versions`, version)).status, 201)
  const refused = await eventually('the refusal', async () => (await list()).find(({ name, state }) => name === 'sample' && state === 'refused'), 60_000)
  assert.equal(refused.served_fingerprint, fingerprintOf(sample.first), 'the old certificate goes on being served')
  const shown = JSON.parse((await run('renew', 'show', 'sample')).stdout) as { state: { reasons: string[] } }
  assert.match(shown.state.reasons.join(), /subjectAltName|SAN/i)
  const delivered = await eventually('the delivery is a dead letter', async () => (await deliveries()).find(({ status }) => status === 422))
  assert.equal(delivered.state, 'dead')

  assert.equal((await run('renew', 'delete', 'sample')).status, 0)
  assert.equal((await run('renew', 'create', 'sample', '--host', 'example.com', '--secret', 'sm-cert', '--target', 'ce-cert', '--accept', 'no-san')).status, 0)
  const rotated = await run('renew', 'rotate', 'sample', '--certificate', file('third.pem', sample.second), '--key', file('third.key', sample.key))
  assert.equal(rotated.status, 0, rotated.stdout + rotated.stderr)
  assert.match(rotated.stdout, /warning.*browser/i)
  assert.equal(await servedLeaf('example.com', platform.ports.public), fingerprintOf(sample.second))
})

test('what sync could not use is refused before anything is made, and the other renewals go on', { timeout: 120_000 }, async () => {
  const { leaf } = await chainMaker()
  const host = 'steady.example.com'
  const bundle = await leaf([host, 'other.example.com'])
  const files = ['--certificate', file('steady.pem', bundle.certificate), '--key', file('steady.key', bundle.privateKey)]
  const whole = [...files, '--intermediate', file('steady-i.pem', bundle.intermediate)]
  assert.equal((await run('renew', 'create', 'steady', '--host', host, '--app', 'shop', ...whole)).status, 0)
  for (const [words, says] of [
    [['--host', `https://${host}`], /\.probes/],
    [['--host', 'a b'], /\.probes/],
    [['--host', 'other.example.com', '--connect', 'no where'], /\.probes/],
    [['--host', 'other.example.com', '--target', 'steady-tls'], /steady, wrong: two renewals have the same target/],
    [['--host', 'other.example.com', '--target', '../tls'], /\.target/],
  ] as const) {
    const { status, stderr } = await run('renew', 'create', 'wrong', ...words, ...whole)
    assert.equal(status, 2, stderr)
    assert.match(stderr, says)
  }
  const made = await platform.api('GET', `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets?search=wrong`)
  assert.deepEqual(made.body.secrets, [])
  assert.deepEqual(
    (await list()).filter(({ name }) => name === 'wrong' || name === 'steady').map(({ name }) => name),
    ['steady'],
  )
  const next = await leaf([host])
  const rotated = await run(
    'renew',
    'rotate',
    'steady',
    '--certificate',
    file('s2.pem', next.certificate),
    '--key',
    file('s2.key', next.privateKey),
    '--intermediate',
    file('s2-i.pem', next.intermediate),
  )
  assert.equal(rotated.status, 0, rotated.stdout + rotated.stderr)
})

for (const [what, words, status, says] of [
  ['an unknown renewal', ['renew', 'show', 'nobody'], 2, /no renewal named nobody/],
  ['an unknown command', ['rotate'], 2, /unknown command/],
  ['a missing host', ['renew', 'create', 'x'], 2, /--host/],
  ['neither secret nor files', ['renew', 'create', 'x', '--host', 'a.b'], 2, /--certificate FILE/],
  ['a file that is not there', ['renew', 'create', 'x', '--host', 'a.b', '--certificate', '/nowhere', '--key', '/nowhere'], 2, /cannot be read/],
  ['an unknown secret', ['renew', 'create', 'x', '--host', 'a.b', '--secret', 'nothing-here'], 2, /no secret with the id or name/],
  ['an unknown accept', ['renew', 'create', 'x', '--host', 'a.b', '--secret', 's', '--accept', 'all'], 2, /--accept takes/],
] as const) {
  test(`${what} is answered with status ${status} and what to do`, async () => {
    const result = await run(...words)
    assert.equal(result.status, status, result.stderr)
    assert.match(result.stderr, says)
  })
}

test('options that would change nothing are refused with what to do instead', { timeout: 120_000 }, async () => {
  const { leaf } = await chainMaker()
  const pair = await leaf(['mapped.example.com'])
  const [certificate, key] = [file('mapped.pem', `${pair.certificate}\n${pair.intermediate}`), file('mapped.key', pair.privateKey)]
  const data = { tls_cert: `${pair.certificate}\n${pair.intermediate}`, tls_key: pair.privateKey }
  await platform.api('POST', `${project()}/secrets`, { name: 'mapped-tls', format: 'tls', data })
  const component = { name: 'shop', resource_type: 'app_v2' }
  const mapped = await platform.api('POST', `${project()}/domain_mappings`, { name: 'mapped.example.com', component, tls_secret: 'mapped-tls' })
  assert.equal(mapped.status, 201, mapped.text)
  for (const [words, says] of [
    [['renew', 'create', 'x', '--host', 'a.example.com', '--secret', 's', '--key', key], /either --secret or your own files, not both: --key/],
    [['renew', 'create', 'x', '--host', 'mapped.example.com', '--certificate', certificate, '--key', key, '--app', 'other'], /mapped already: to the app shop/],
    [['renew', 'create', 'x', '--host', 'mapped.example.com', '--certificate', certificate, '--key', key, '--app', 'shop'], /with the secret mapped-tls/],
    [['demo', '--once', '--port', '9443'], /running on .* already: --port 9443 would change nothing/],
  ] as const) {
    const { status, stderr, stdout } = await run(...words)
    assert.equal(status, 2, `${words.join(' ')}: ${stdout}${stderr}`)
    assert.match(stderr, says)
  }
  assert.equal(
    (await list()).some(({ name }) => name === 'x'),
    false,
  )
  const created = await run(
    'renew',
    'create',
    'mapped',
    '--host',
    'mapped.example.com',
    '--certificate',
    certificate,
    '--key',
    key,
    '--target',
    'mapped-tls',
    '--connect',
    `[::1]:${platform.ports.public}`,
  )
  assert.equal(created.status, 0, created.stderr)
  const refused = await run('renew', 'rotate', 'mapped', '--key', key)
  assert.equal(refused.status, 2)
  assert.match(refused.stderr, /go with --certificate/)
  await run('renew', 'delete', 'mapped')
})

test('a renewal with --connect [::1]:PORT is proven through ::1', { timeout: 120_000 }, async () => {
  const seen: (string | undefined)[] = []
  // The platform listens on 127.0.0.1; this listens on ::1 alone and passes everything on.
  const door = createServer((socket) => {
    seen.push(socket.remoteAddress)
    const inside = connect(platform.ports.public, '127.0.0.1')
    socket.on('error', () => inside.destroy()).pipe(inside)
    inside.on('error', () => socket.destroy()).pipe(socket)
  })
  const isOpen = await new Promise<boolean>((resolve) => door.once('error', () => resolve(false)).listen(0, '::1', () => resolve(true)))
  if (!isOpen) return couldNotRun('a proof through ::1', 'this machine has no ::1')
  const { port } = door.address() as AddressInfo
  try {
    const { leaf } = await chainMaker()
    const files = (pair: Awaited<ReturnType<typeof leaf>>, name: string) => [
      '--certificate',
      file(`${name}.pem`, `${pair.certificate}\n${pair.intermediate}`),
      '--key',
      file(`${name}.key`, pair.privateKey),
    ]
    const [old, fresh] = [await leaf(['six.example.com']), await leaf(['six.example.com'])]
    const created = await run('renew', 'create', 'six', '--host', 'six.example.com', '--app', 'shop', '--connect', `[::1]:${port}`, ...files(old, 'six'))
    assert.equal(created.status, 0, created.stderr)
    seen.length = 0
    const rotated = await run('renew', 'rotate', 'six', ...files(fresh, 'six-2'))
    assert.equal(rotated.status, 0, rotated.stdout + rotated.stderr)
    assert.equal((await list()).find(({ name }) => name === 'six')?.served_fingerprint, fresh.fingerprint)
    assert.ok(seen.length > 0 && seen.every((address) => address === '::1'), seen.join(' '))
    const rest = seen.length
    assert.equal((await run('renew', 'verify', 'six')).status, 0)
    assert.ok(seen.length > rest, 'verify did not look through ::1')
    door.close()
    const unseen = await run('renew', 'verify', 'six')
    assert.equal(unseen.status, 1, 'with nobody at ::1 the certificate was seen all the same')
  } finally {
    door.close()
  }
})

test('a certificate that drops a host of the renewal is refused until the operator releases the host', { timeout: 120_000 }, async () => {
  const { leaf } = await chainMaker()
  const [both, one] = [await leaf(['wide.example.com', 'also.example.com']), await leaf(['wide.example.com'])]
  const files = (pair: typeof both, name: string) => [
    '--certificate',
    file(`${name}.pem`, pair.certificate),
    '--intermediate',
    file(`${name}.ca`, pair.intermediate),
    '--key',
    file(`${name}.key`, pair.privateKey),
  ]
  const created = await run('renew', 'create', 'wide', '--host', 'wide.example.com', '--app', 'shop', ...files(both, 'both'))
  assert.equal(created.status, 0, created.stderr)
  const renewals = `${project()}/config_maps/sync-renewals`
  const map = (await platform.api('GET', renewals)).body as { data: { 'renewals.json': string } }
  const config = JSON.parse(map.data['renewals.json']) as { renewals: { name: string; boundHosts?: string[] }[] }
  for (const renewal of config.renewals) if (renewal.name === 'wide') renewal.boundHosts = ['also.example.com']
  const changed = await platform.api('PUT', renewals, { data: { 'renewals.json': JSON.stringify(config) } }, { 'if-match': '*' })
  assert.equal(changed.status, 200, changed.text)
  const refused = await run('renew', 'rotate', 'wide', ...files(one, 'one'))
  assert.equal(refused.status, 1)
  assert.match(refused.stdout, /refused\. .*do not cover a host.*also\.example\.com/s)
  assert.equal((await run('renew', 'release', 'wide', '--host', 'other.example.com')).status, 2)
  assert.equal((await run('renew', 'release', 'wide', '--host', 'wide.example.com')).status, 2)
  assert.equal((await run('renew', 'release', 'wide', '--host', 'also.example.com')).status, 0)
  const proven = await run('renew', 'rotate', 'wide', ...files(await leaf(['wide.example.com']), 'next'))
  assert.equal(proven.status, 0, proven.stdout + proven.stderr)
})
