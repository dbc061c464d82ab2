import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Bundle, chainMaker } from '../support/certificates.ts'
import { everything } from '../support/listing.ts'
import { deploy, webApp } from '../support/pipeline.ts'
import { environment, eventually, everleaf, finish, freshHome, ROOT, type Running, startPlatform } from '../support/platform.ts'
import { servedLeaf } from '../support/tls.ts'

type Line = { name: string; host: string; state: string; days_left: number; served_fingerprint: string; last_proof_at: string | null }

const place = freshHome()
let platform: Running
let maker: Awaited<ReturnType<typeof chainMaker>>
let own: Bundle
let stored: Bundle
let storedId = ''
const path = (name: string) => join(place.home, name)
const file = (name: string, text: string) => {
  writeFileSync(path(name), text)
  return path(name)
}
const run = (...words: string[]) => everleaf(['renew', ...words], place)
const done = async (...words: string[]) => {
  const { status, stdout, stderr } = await run(...words)
  assert.equal(status, 0, `renew ${words.join(' ')}: ${stdout}${stderr}`)
  return stdout
}
const project = () => `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
const must = async (method: string, url: string, body?: unknown, headers?: Record<string, string>) => {
  const answer = await platform.api(method, url, body, headers)
  assert.ok(answer.status < 300, `${method} ${url}: ${answer.status} ${answer.text}`)
  return answer.body
}
const material = ({ certificate, intermediate, privateKey }: Bundle) => ({ certificate, intermediate, private_key: privateKey })
const write = (name: string, bundle: Bundle) => {
  file(`${name}.pem`, bundle.certificate)
  file(`${name}.ca`, bundle.intermediate)
  file(`${name}.key`, bundle.privateKey)
}
const rotate = (name: string, bundle: Bundle) => {
  write('next', bundle)
  return run('rotate', name, '--certificate', path('next.pem'), '--key', path('next.key'), '--intermediate', path('next.ca'))
}

/** Two renewals: files of one's own, and a secret that is there by its name. */
const MANIFEST = `version: 1
renewals:
  - name: own
    source:
      certificate: own.pem
      key: own.key
      intermediate: own.ca
    hosts:
      - host: own.example.com
        app: shop
      - host: also.example.com
        app: shop
  - name: stored
    source:
      name: stored-cert
      group: team
    hosts:
      - host: stored.example.com
        app: shop
    accept: [lone-leaf]
`
const MANIFEST_FILE = () => file('everleaf.yaml', MANIFEST)

before(async () => {
  platform = await startPlatform(place)
  maker = await chainMaker()
  await deploy(platform, 'shop', webApp(`response.end('shop')`))
  const group = await must('POST', `${platform.env.SECRETS_MANAGER_URL}/api/v2/secret_groups`, { name: 'team' })
  stored = await maker.leaf(['stored.example.com'])
  const secret = { secret_type: 'imported_cert', name: 'stored-cert', secret_group_id: group.id, ...material(stored) }
  storedId = String((await must('POST', `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`, secret)).id)
  own = await maker.leaf(['own.example.com', 'also.example.com'])
  write('own', own)
})
after(async () => {
  await platform.stop()
  place[Symbol.dispose]()
})

test('plan shows every step with its call and its smallest right, and changes nothing', { timeout: 120_000 }, async () => {
  const before = await everything(platform)
  const manifest = MANIFEST_FILE()
  const text = await done('plan', '--file', manifest)
  assert.match(text, /^\d\d steps to what/)
  assert.match(text, /policy: everleaf-sync is SecretsReader of the secret group [0-9a-f-]{36}/)
  assert.match(text, /POST \/v1\/profiles; needs Administrator on iam-identity/)
  const plan = JSON.parse(await done('plan', '--json', '--file', manifest)) as {
    steps: { kind: string; name: string; call: string; rights: { role: string }[]; why: string }[]
  }
  for (const { call, rights, why } of plan.steps) {
    assert.match(call, /^(POST|PUT|PATCH) \//)
    assert.ok(rights.length > 0 && why !== '')
  }
  assert.equal(new Set(plan.steps.map(({ kind, name }) => `${kind} ${name}`)).size, plan.steps.length, 'each thing is made once')
  assert.deepEqual(await everything(platform), before)
})

test(
  'apply makes it, a second one has nothing to do, rotations are proven, a sweep repairs, delete leaves what the user had',
  { timeout: 240_000 },
  async () => {
    const before = await everything(platform)
    const manifest = MANIFEST_FILE()
    assert.match(await done('apply', '--file', manifest), /is in place: \d\d steps/)
    const made = await everything(platform)
    assert.match(await done('apply', '--file', manifest), /Nothing to do/)
    assert.match(await done('plan', '--file', manifest), /Nothing to do/)
    assert.deepEqual(await everything(platform), made)

    assert.match(await done('sweep', '--file', manifest), /own: (in-place|proven)\nstored: (in-place|proven)/)
    for (const [name, hosts] of [
      ['own', ['own.example.com', 'also.example.com']],
      ['stored', ['stored.example.com']],
    ] as const) {
      const next = await maker.leaf(hosts)
      const rotated = await rotate(name, next)
      assert.equal(rotated.status, 0, rotated.stdout + rotated.stderr)
      for (const host of hosts) assert.equal(await servedLeaf(host, platform.ports.public, { ca: maker.root }), next.fingerprint)
    }
    // The files of the renewal are older now than what was rotated: they do not come back.
    assert.match(await done('apply', '--file', manifest), /Nothing to do/)

    const map = JSON.parse(await done('show', '--json')) as Line[]
    assert.deepEqual(
      map.map(({ name, host, state }) => [name, host, state]),
      [
        ['own', 'own.example.com', 'fresh'],
        ['own', 'also.example.com', 'fresh'],
        ['stored', 'stored.example.com', 'fresh'],
      ],
    )
    for (const { days_left: days, last_proof_at: proof } of map) assert.ok(days > 80 && proof !== null)
    assert.match(await done('show'), /HOST +STATE +DAYS LEFT +LAST PROOF/)

    // Somebody puts an older pair into a target by hand; the sweep puts the current one back.
    const data = { tls_cert: `${stored.certificate}\n${stored.intermediate}`, tls_key: stored.privateKey }
    await must('PUT', `${project()}/secrets/stored-tls`, { format: 'tls', data }, { 'if-match': '*' })
    await eventually('the older certificate is served', async () => (await servedLeaf('stored.example.com', platform.ports.public)) === stored.fingerprint)
    assert.match(await done('show'), /1 of 3 hosts are not fresh/)
    assert.match(await done('sweep'), /stored: proven/)
    assert.notEqual(await servedLeaf('stored.example.com', platform.ports.public), stored.fingerprint)

    const asked = await run('delete', '--all')
    assert.equal(asked.status, 2)
    assert.match(asked.stderr, /no terminal to answer at: add --force/)
    assert.match(await done('delete', '--all', '-f'), /Removed\./)
    const [then, now] = [withoutVersions(before), withoutVersions(await everything(platform))]
    assert.deepEqual(now, then)
    assert.match(await done('delete', '--all', '-f'), /Nothing that is there was made here/)
    assert.deepEqual(withoutVersions(await everything(platform)), then)
  },
)

// The user's own secret was rotated by the user: it has another version now, and is otherwise as it was.
function withoutVersions(all: Awaited<ReturnType<typeof everything>>): unknown {
  return JSON.parse(JSON.stringify(all), (key, value: unknown) =>
    ['versions_total', 'serial_number', 'validity', 'expiration_date', 'key_algorithm', 'signing_algorithm', 'next_rotation_date'].includes(key)
      ? undefined
      : value,
  )
}

describe('an apply that is killed', { timeout: 400_000 }, () => {
  const steps = [1, 4, 8, 9, 12, 17, 22]
  for (const killed of steps)
    test(`after ${killed} steps is resumed by the next one, and the result is the same`, { timeout: 120_000 }, async () => {
      await done('delete', '--all', '-f')
      const manifest = MANIFEST_FILE()
      const child = spawn(process.execPath, [join(ROOT, 'apps/cli/src/main.ts'), 'renew', 'apply', '--file', manifest], { env: environment(place) })
      let output = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text
        if (output.split('\n').filter((line) => line.startsWith('  done ')).length >= killed) child.kill('SIGKILL')
      })
      const { signal } = await finish(child, 100_000)
      assert.equal(signal, 'SIGKILL', output)
      await done('apply', '--file', manifest)
      assert.match(await done('apply', '--file', manifest), /Nothing to do/)
      await checkWhole()
      await done('delete', '--all', '-f')
      assert.deepEqual(await leftOver(), [])
    })
})

/** What of the pipeline there is: each thing once. */
async function checkWhole(): Promise<void> {
  const all = await everything(platform)
  const names = (list: readonly unknown[]) => list.map((one) => (one as { name: string }).name).sort()
  assert.deepEqual(names(all.topics), ['sync', 'sync-sweep'])
  assert.deepEqual(
    names(all.destinations).filter((name) => name.startsWith('sync')),
    ['sync', 'sync-sweep'],
  )
  assert.deepEqual(names(all.subscriptions), ['sync', 'sync-sweep'])
  assert.deepEqual(names(all.profiles), ['everleaf-sync'])
  assert.deepEqual(names(all.secrets), ['own', 'stored-cert'])
  assert.deepEqual(
    names(all.domain_mappings).filter((name) => name.endsWith('.example.com')),
    ['also.example.com', 'own.example.com', 'stored.example.com'],
  )
  assert.deepEqual(
    names(all.config_maps).filter((name) => name !== 'sync-state'),
    ['sync-made', 'sync-renewals'],
  )
  assert.equal(all.authorizations.length, 1)
  assert.match(await done('sweep'), /own: (in-place|proven)\nstored: (in-place|proven)/)
}

async function leftOver(): Promise<string[]> {
  const all = await everything(platform)
  return Object.entries(all)
    .flatMap(([kind, list]) => list.map((one) => `${kind} ${(one as { name?: string }).name}`))
    .filter((text) => /sync|own/.test(text))
}

test('two applies at once make everything once: the second one waits, and finds it done', { timeout: 120_000 }, async () => {
  const manifest = MANIFEST_FILE()
  const both = await Promise.all([run('apply', '--file', manifest), run('apply', '--file', manifest)])
  for (const { status, stdout, stderr } of both) assert.equal(status, 0, stdout + stderr)
  await checkWhole()
  await done('delete', '--all', '-f')
  assert.deepEqual(await leftOver(), [])
})

test('newer files become a new version of the secret that was made of them, and their proof', { timeout: 120_000 }, async () => {
  const manifest = MANIFEST_FILE()
  await done('apply', '--file', manifest)
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  const newer = await maker.leaf(['own.example.com', 'also.example.com'])
  write('own', newer)
  assert.match(await done('plan', '--file', manifest), /1 step .*\n.*a new version of the secret own, because the files are newer/)
  await done('apply', '--file', manifest)
  await eventually('the new certificate is served', async () => (await servedLeaf('own.example.com', platform.ports.public)) === newer.fingerprint)
})

test('what somebody has made or changed since is not removed, and drift is put right', { timeout: 120_000 }, async () => {
  const manifest = MANIFEST_FILE()
  // Another target of the same name, made by hand in place of ours.
  await must('DELETE', `${project()}/domain_mappings/stored.example.com`)
  await must('DELETE', `${project()}/secrets/stored-tls`)
  const data = { tls_cert: `${stored.certificate}\n${stored.intermediate}`, tls_key: stored.privateKey }
  await must('POST', `${project()}/secrets`, { name: 'stored-tls', format: 'tls', data })
  const subscriptions = (await everything(platform)).subscriptions as { id: string; name: string }[]
  const base = `${platform.env.EVENT_NOTIFICATIONS_URL}/v1/instances/${platform.env.EVENT_NOTIFICATIONS_GUID}`
  await must('DELETE', `${base}/subscriptions/${subscriptions.find(({ name }) => name === 'sync')?.id}`)
  const plan = await done('plan', '--file', manifest)
  assert.match(plan, /^2 steps/)
  assert.match(plan, /subscription sync/)
  await done('apply', '--file', manifest)
  assert.match(await done('delete', '--all', '-f'), /left: Code Engine secret stored-tls: somebody else has made it anew/)
  assert.deepEqual(await leftOver(), [])
  await must('DELETE', `${project()}/secrets/stored-tls`)
})

test('taking one renewal out leaves the rest, and what is not in the file is left as it is', { timeout: 120_000 }, async () => {
  const manifest = MANIFEST_FILE()
  await done('apply', '--file', manifest)
  await done('delete', 'stored')
  assert.match(await done('plan', '--file', manifest), /^1 step .*\n.*stored: is kept fresh/)
  const less = file('less.yaml', MANIFEST.replace(/ {2}- name: stored[\s\S]*$/, ''))
  await done('apply', '--file', manifest)
  assert.match(await done('plan', '--file', less), /Nothing to do.*\nnote: not in the file, and left as it is: stored/)
  assert.equal((JSON.parse(await done('list', '--json')) as Line[]).length, 2)
  await done('delete', '--all', '-f')
})

for (const [what, text, says] of [
  ['broken YAML', 'version: 1\nrenewals:\n  - name: a\n   hosts: [\n', /everleaf\.yaml:\d: this is not YAML/],
  ['an unknown key', MANIFEST.replace('accept: [lone-leaf]', 'acept: [lone-leaf]'), /everleaf\.yaml:20: renewals\[1\]\.acept is not known here/],
  [
    'a key that is nearly right',
    MANIFEST.replace('    hosts:\n      - host: stored.example.com\n        app: shop\n', '    host: stored.example.com\n'),
    /renewals\[1\]\.host is not known here; did you mean hosts\?/,
  ],
  ['a missing member', MANIFEST.replace('  - name: stored\n', '  - target: stored-tls\n'), /everleaf\.yaml:13: renewals\[1\] has no name/],
  ['a wrong option', MANIFEST.replace('[lone-leaf]', '[all]'), /everleaf\.yaml:20: renewals\[1\]\.accept\[0\] is one of no-san, ca-leaf, lone-leaf/],
  [
    'two sources in one',
    MANIFEST.replace('      group: team\n', '      label: x\n'),
    /everleaf\.yaml:14: renewals\[1\]\.source is one of \{id\}, \{name, group\}/,
  ],
  ['one name twice', MANIFEST.replace('name: stored\n', 'name: own\n'), /everleaf\.yaml:13: own is the name of another renewal already \(everleaf\.yaml:3\)/],
  ['a file that is not there', MANIFEST.replace('own.pem', 'nowhere.pem'), /nowhere\.pem cannot be read: ENOENT\. It is named in everleaf\.yaml:5/],
  [
    'a group that is not there',
    MANIFEST.replace('group: team', 'group: nobody'),
    /everleaf\.yaml:16: Secrets Manager has no secret group nobody\. There are: .*team/,
  ],
  [
    'a secret that is not there',
    MANIFEST.replace('stored-cert', 'nothing-here'),
    /everleaf\.yaml:13: stored: Secrets Manager .* has no certificate named nothing-here/,
  ],
  [
    'an app that is not there',
    MANIFEST.replace(/stored\.example\.com\n {8}app: shop/, 'stored.example.com\n        app: nobody'),
    /everleaf\.yaml:18: stored: the project has no app named nobody/,
  ],
  ['one target for two', MANIFEST.replace('    accept:', '    target: own-tls\n    accept:'), /two renewals have the same target/],
  ['a name that no secret can have', MANIFEST.replace('name: own', 'name: o'), /everleaf\.yaml:3: o: no secret of Secrets Manager can be named "o"/],
  ['another form', MANIFEST.replace('version: 1', 'version: 2'), /everleaf\.yaml:1: version must be 1/],
  ['nothing', '', /everleaf\.yaml: the file/],
  ['a list', '- a\n- b\n', /everleaf\.yaml:1: the file/],
] as const)
  test(`${what} in the file is refused with its line, before anything is made`, async () => {
    const manifest = file('everleaf.yaml', text)
    const refused = await run('apply', '--file', manifest)
    assert.equal(refused.status, 2, refused.stdout + refused.stderr)
    assert.match(refused.stderr, says)
    assert.deepEqual(await leftOver(), [])
  })

test('a host that is bound elsewhere is refused with what to do, and so are files that the gate refuses', { timeout: 120_000 }, async () => {
  const data = { tls_cert: `${stored.certificate}\n${stored.intermediate}`, tls_key: stored.privateKey }
  await must('POST', `${project()}/secrets`, { name: 'other-tls', format: 'tls', data })
  await must('POST', `${project()}/domain_mappings`, {
    name: 'stored.example.com',
    component: { name: 'shop', resource_type: 'app_v2' },
    tls_secret: 'other-tls',
  })
  const bound = await run('apply', '--file', MANIFEST_FILE())
  assert.equal(bound.status, 2)
  assert.match(bound.stderr, /everleaf\.yaml:18: stored: stored\.example\.com is mapped already: to the app shop, with the secret other-tls\.\nLeave app out/)
  write('own', await maker.leaf(['somewhere.example.com']))
  const refused = await run('apply', '--file', MANIFEST_FILE())
  assert.match(refused.stderr, /own: these files would not be put in place:\n.*do not cover a host/)
  assert.deepEqual(await leftOver(), [])
  write('own', own)
  await must('DELETE', `${project()}/domain_mappings/stored.example.com`)
  await must('DELETE', `${project()}/secrets/other-tls`)
})

test('a pipeline that was half made is completed, and a ledger that was changed by hand is not guessed at', { timeout: 120_000 }, async () => {
  const manifest = MANIFEST_FILE()
  // Made by hand before: it is used, and stays when ours is removed.
  await must('POST', `${platform.env.IAM_AUTH_URL}/v1/profiles`, {
    account_id: JSON.parse(readFileSync(path('login.json'), 'utf8')).account as string,
    name: 'everleaf-sync',
  })
  await must('POST', `${project()}/config_maps`, { name: 'sync-renewals', data: {} })
  await done('apply', '--file', manifest)
  await checkWhole()
  const map = `${project()}/config_maps/sync-made`
  const written = (await must('GET', map)).data as Record<string, string>
  await must('PUT', map, { data: { 'made.json': 'mine now' } }, { 'if-match': '*' })
  const refused = await run('apply', '--file', manifest)
  assert.match(refused.stderr, /config map sync-made was changed by hand/)
  await must('PUT', map, { data: written }, { 'if-match': '*' })
  await done('delete', '--all', '-f')
  assert.deepEqual(await leftOver(), ['profiles everleaf-sync', 'config_maps sync-renewals'])
  assert.equal(storedId.length, 36)
})

test('what a run that died never made is not taken for ours, and a lease of another machine is waited for', { timeout: 120_000 }, async () => {
  const manifest = MANIFEST_FILE()
  const phantom = { kind: 'code-engine-secret', name: 'phantom', state: 'making' }
  const holder = { id: 'x', host: 'another-machine', pid: 1, until: new Date(Date.now() + 4_000).toISOString() }
  await must('POST', `${project()}/config_maps`, { name: 'sync-made', data: { 'made.json': JSON.stringify({ version: 1, holder, made: [phantom] }) } })
  assert.match(await done('apply', '--file', manifest), /another run is at work on this pipeline \(process 1 on another-machine\); waiting for it/)
  assert.ok(Date.now() >= Date.parse(holder.until))
  await must('POST', `${project()}/secrets`, { name: 'phantom', format: 'generic', data: { a: 'b' } })
  assert.doesNotMatch(await done('delete', '--all', '-f'), /phantom/)
  await must('DELETE', `${project()}/secrets/phantom`)
})
