import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { chainMaker } from '../support/certificates.ts'
import { platformForAll } from '../support/for-all.ts'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { couldNotRun, environment, finish, freshHome, ROOT } from '../support/platform.ts'

/* What `ibmcloud ce` refuses, and that nothing of it stays; and what it says of what it waits for. */
const LIMIT = { timeout: 120_000 }
const place = freshHome()
const ibmcloud = ibmcloudOf(place)
const { done, json } = ibmcloud
const source = join(place.home, 'source')
platformForAll(place, () => writeProgram('first'))

function writeProgram(word: string): void {
  if (!existsSync(source)) mkdirSync(source)
  writeFileSync(join(source, 'package.json'), '{"name":"program","main":"index.js","scripts":{"start":"node index.js"}}')
  writeFileSync(
    join(source, 'index.js'),
    `const { PORT, JOB_INDEX, FAILS } = process.env
console.log('the ${word} one')
if (FAILS !== undefined) process.exit(3)
if (JOB_INDEX === undefined) require('node:http').createServer((_, answer) => answer.end('${word}')).listen(PORT)
`,
  )
}

/** Its standard error; fails the test where it ends otherwise than with `status`. */
async function refused(status: number, ...words: string[]): Promise<string> {
  const finished = await ibmcloud('ce', ...words)
  assert.equal(finished.status, status, `ibmcloud ce ${words.join(' ')}: ${finished.stdout}${finished.stderr}`)
  return finished.stderr
}

const names = async (kind: string) =>
  (await json<{ items: { metadata: { name: string } }[] }>('ce', kind, 'list')).items.map(({ metadata }) => metadata.name).sort()

test('create refuses a name that is taken before it builds: what is there keeps its code', LIMIT, async () => {
  await done('ce', 'job', 'create', '-n', 'taken', '--build-source', source, '--retrylimit', '0')
  await done('ce', 'app', 'create', '-n', 'taken', '--build-source', source)
  const runs = await names('buildrun')
  writeProgram('second')
  for (const kind of ['job', 'app']) assert.match(await refused(1, kind, 'create', '-n', 'taken', '--build-source', source), /named taken exists already/)
  assert.deepEqual(await names('buildrun'), runs)
  const { metadata } = await json<{ metadata: { name: string } }>('ce', 'jobrun', 'submit', '--job', 'taken', '--wait')
  assert.match(await done('ce', 'jobrun', 'logs', '-n', metadata.name), /the first one/)
})

test('settings that the platform refuses are refused before anything is sent or built, and leave nothing', LIMIT, async () => {
  const before = { builds: await names('build'), runs: await names('buildrun'), apps: await names('app'), jobs: await names('job') }
  const cases: [string, ...string[]][] = [
    ['more than scale_max_instances', 'app', 'create', '-n', 'no', '--min', '5', '--max', '2'],
    ['scale_cpu_limit', 'app', 'create', '-n', 'no', '--cpu', 'banana'],
    ['image_port', 'app', 'create', '-n', 'no', '-p', '99999'],
    ['ends before it begins', 'job', 'create', '-n', 'no', '--array-indices', '3-1'],
    ['mount_path', 'app', 'create', '-n', 'no', '--mount-cm', 'relative=x', '--force'],
    ['"name"', 'app', 'create', '-n', 'A B'],
    ['strategy_type bogus', 'job', 'create', '-n', 'no', '--strategy', 'bogus'],
    ['strategy_type bogus', 'job', 'update', '-n', 'taken', '--strategy', 'bogus'],
    ['strategy_size', 'job', 'create', '-n', 'no', '--build-size', 'huge'],
    ['scale_cpu_limit', 'app', 'update', '-n', 'taken', '--cpu', 'banana'],
  ]
  for (const [problem, ...words] of cases) {
    const { status, stdout, stderr } = await ibmcloud('ce', ...words, '--build-source', source)
    assert.deepEqual([status, stderr.includes(problem)], [1, true], `${words.join(' ')}: ${stderr}`)
    assert.doesNotMatch(stdout, /Packaging|Submitting/, words.join(' '))
  }
  assert.deepEqual({ builds: await names('build'), runs: await names('buildrun'), apps: await names('app'), jobs: await names('job') }, before)
  assert.equal((await json<{ spec: { strategy_type: string } }>('ce', 'build', 'get', '-n', 'job-taken')).spec.strategy_type, 'buildpacks')
})

test('what reads from a secret or configmap that is not there is refused, and with --force waits for it by name', LIMIT, async () => {
  const image = ['--image', 'private.everleaf/app-taken']
  const said = await refused(1, 'app', 'create', '-n', 'waits', ...image, '--env-sec', 'nope', '--mount-cm', '/x=nomap')
  assert.match(said, /no secret nope and no configmap nomap[\s\S]*secret create --name nope[\s\S]*--force/)
  assert.match(await refused(1, 'job', 'update', '-n', 'taken', '--env-cm', 'P=nomap'), /no configmap nomap/)
  assert.match(await refused(1, 'jobrun', 'submit', '--job', 'taken', '--env-sec', 'nope:KEY'), /no secret nope/)
  assert.ok(!(await names('app')).includes('waits'))
  const { status, stdout, stderr } = await ibmcloud('ce', 'app', 'create', '-n', 'waits', ...image, '--env-sec', 'nope', '-f', '--wait-timeout', '2')
  assert.equal(status, 1, stderr)
  assert.match(stdout, /^ {2}deploying \(Waiting for secret nope\.\)$/m)
  assert.match(stderr, /not done after 2 s: it is deploying \(Waiting for secret nope\.\)/)
  assert.match(await done('ce', 'app', 'get', '-n', 'waits'), /^Status Summary: +deploying \(Waiting for secret nope\.\)/m)
  await done('ce', 'secret', 'create', '-n', 'nope', '-l', 'A=1')
  await done('ce', 'app', 'update', '-n', 'waits', '--env-sec', 'nope')
  await done('ce', 'app', 'delete', '-n', 'waits', '-f')
})

test('only options that were typed are said to have no effect, once, and not with -q', LIMIT, async () => {
  const typed = ['-n', 'quiet', '--build-source', source]
  assert.equal((await ibmcloud('ce', 'job', 'create', ...typed)).stderr, '')
  await done('ce', 'job', 'delete', '-n', 'quiet', '-f')
  await done('ce', 'build', 'delete', '-n', 'job-quiet', '-f')
  const { stderr } = await ibmcloud('ce', 'job', 'create', ...typed, '--cpu', '2', '--memory', '4G', '--build-size', 'small')
  assert.equal(stderr.match(/Kept, but without effect here: --cpu \(docs\/reference\/ignored\.md says why\)\./g)?.length, 1, stderr)
  assert.equal(stderr.match(/--build-size/g)?.length, 1, stderr)
  assert.doesNotMatch(stderr, /output_secret|registry-secret/)
  assert.equal((await ibmcloud('ce', 'job', 'update', '-n', 'quiet', '--cpu', '1', '-q')).stderr, '')
  const { metadata } = await json<{ metadata: { name: string } }>('ce', 'jobrun', 'submit', '--job', 'quiet', '--wait')
  assert.equal((await ibmcloud('ce', 'jobrun', 'resubmit', '--jobrun', metadata.name)).stderr, '')
})

test('a run or a build that failed is not said to be OK', LIMIT, async () => {
  const run = await ibmcloud('ce', 'jobrun', 'submit', '--job', 'taken', '-e', 'FAILS=1', '--wait')
  assert.equal(run.status, 1)
  assert.doesNotMatch(run.stdout, /^OK$|jobrun get/m)
  assert.match(run.stderr, /FAILED\nThe job run \S+ failed/)
  const broken = join(place.home, 'broken')
  mkdirSync(broken)
  writeFileSync(join(broken, 'nothing.txt'), '')
  await done('ce', 'build', 'create', '-n', 'broken', '--source', broken)
  const build = await ibmcloud('ce', 'buildrun', 'submit', '--build', 'broken', '--wait')
  assert.equal(build.status, 1)
  assert.doesNotMatch(build.stdout, /^OK$|buildrun get/m)
  assert.match(await refused(1, 'app', 'create', '-n', 'broken', '--build-source', broken), /buildrun logs -n app-broken-run/)
})

test('get shows what runs and how it is built', LIMIT, async () => {
  await done('ce', 'configmap', 'create', '-n', 'knobs', '-l', 'A=1')
  const settings = ['-e', 'B=1', '-e', 'B=2', '--env-cm', 'P_=knobs', '--mount-cm', '/knobs=knobs', '-c', 'node', '-a', 'index.js', '-a', 'two words']
  await done('ce', 'job', 'create', '-n', 'shown', '--build-source', source, ...settings, '--ai', '1-3', '--retrylimit', '2', '--met', '60')
  await done('ce', 'jobrun', 'submit', '--job', 'shown', '-n', 'shown-run', '--wait')
  const job = await done('ce', 'job', 'get', '-n', 'shown')
  for (const line of [
    /^Last Job Run: +shown-run \(completed\)$/m,
    /^Image: +private\.everleaf\/job-shown$/m,
    /^Build: +job-shown$/m,
    /^Commands: +node$/m,
    /^Arguments: +index\.js "two words"$/m,
    /^CPU: +1$/m,
    /^Memory: +4G$/m,
    /^Array Indices: +1-3$/m,
    /^Retry Limit: +2$/m,
    /^Max Execution Time: +60$/m,
    /^ConfigMap full reference +knobs +P_…$/m,
    /^ConfigMap +\/knobs +knobs$/m,
  ])
    assert.match(job, line)
  assert.deepEqual(job.match(/^Literal +B +\S+$/gm)?.length, 1, 'of two variables of one name the last one is meant')
  assert.match(job, /^Literal +B +2$/m)
  const build = await done('ce', 'build', 'get', '-n', 'job-shown')
  for (const line of [/^Build Type: +local$/m, /^Status Summary: +ready/m, /^Build Strategy: +buildpacks$/m, /^job-shown-run-\S+ +succeeded /m])
    assert.match(build, line)
  const revision = await done('ce', 'revision', 'get', '-n', 'taken-00001')
  for (const line of [/^Application: +taken$/m, /^Status Summary: +ready$/m, /^Image: +private\.everleaf\/app-taken$/m, /^Port: +8080$/m])
    assert.match(revision, line)
  assert.match(await done('ce', 'app', 'get', '-n', 'taken', '--show-all-revisions'), /^taken-00001 +ready +true +100% /m)
})

test('an app that the project alone reaches has its address there, in every form', LIMIT, async () => {
  await done('ce', 'app', 'create', '-n', 'inside', '--image', 'private.everleaf/app-taken', '--visibility', 'project')
  const inside = (await done('ce', 'app', 'get', '-n', 'inside', '-o', 'project-url')).trim()
  assert.match(inside, /^https?:\/\/inside\./)
  assert.equal((await done('ce', 'app', 'get', '-n', 'inside', '-o', 'url')).trim(), inside)
  assert.equal((await json<{ status: { url: string } }>('ce', 'app', 'get', '-n', 'inside')).status.url, inside)
  assert.ok((await done('ce', 'app', 'get', '-n', 'inside')).includes(`URL:                 ${inside}\n`))
  await done('ce', 'app', 'delete', '-n', 'inside', '-f')
})

test('an update that takes away what is not there says so and changes nothing; --rebuild builds what was sent before', LIMIT, async () => {
  const latest = async () => (await json<{ status: { latestCreatedRevisionName: string } }>('ce', 'app', 'get', '-n', 'taken')).status.latestCreatedRevisionName
  const { status, stderr } = await ibmcloud('ce', 'app', 'update', '-n', 'taken', '--env-rm', 'NOSUCH', '--mount-rm', '/no')
  assert.deepEqual([status, stderr], [0, 'There is no variable NOSUCH to take away.\nThere is no mount /no to take away.\n'])
  assert.equal(await latest(), 'taken-00001')
  const runs = (await names('buildrun')).length
  assert.match(await done('ce', 'app', 'update', '-n', 'taken', '--rebuild'), /Submitting build run 'app-taken-run-/)
  assert.deepEqual([(await names('buildrun')).length, await latest()], [runs + 1, 'taken-00002'])
  await done('ce', 'job', 'create', '-n', 'unbuilt', '--image', 'private.everleaf/elsewhere')
  assert.match(await refused(1, 'job', 'update', '-n', 'unbuilt', '--rebuild'), /was not built here/)
})

test('a domain mapping without a tls secret is refused; one that fails says why', LIMIT, async () => {
  const words = ['dm', 'create', '--domain-name', 'www.example.com', '--target', 'taken', '--tls-secret']
  assert.match(await refused(1, ...words, 'nosuch'), /no secret nosuch[\s\S]*secret create --name NAME --format tls/)
  await done('ce', 'secret', 'create', '-n', 'plain', '-l', 'A=1')
  assert.match(await refused(1, ...words, 'plain'), /format generic, not tls/)
  const [leaf, other] = [await (await chainMaker()).leaf(['www.example.com']), await (await chainMaker()).leaf(['www.example.com'])]
  const [chain, key] = [join(place.home, 'chain.pem'), join(place.home, 'other.pem')]
  writeFileSync(chain, leaf.certificate)
  writeFileSync(key, other.privateKey)
  await done('ce', 'secret', 'create', '-n', 'unfit', '--format', 'tls', '--cert-chain-file', chain, '--private-key-file', key)
  const { status, stderr } = await ibmcloud('ce', ...words, 'unfit')
  assert.deepEqual([status, /www\.example\.com is failed/.test(stderr)], [0, true], stderr)
  assert.match(await done('ce', 'dm', 'get', '-n', 'www.example.com'), /^Status: +failed.*\nReason: +failed_\w+$/m)
  assert.match(await done('ce', 'dm', 'list'), /^www\.example\.com +failed .* failed_\w+ /m)
  assert.match(await refused(1, 'dm', 'update', '-n', 'www.example.com', '--tls-secret', 'nosuch'), /no secret nosuch/)
  assert.doesNotMatch(await done('ce', 'dm', 'list'), /^taken\./m)
  assert.match(await done('ce', 'dm', 'list', '--all'), /^taken\./m)
})

test('files that are no PEM make no tls secret, and leave one that is there as it is', LIMIT, async () => {
  const leaf = await (await chainMaker()).leaf(['www.example.com'])
  const [chain, key, junk] = [join(place.home, 'good.pem'), join(place.home, 'key.pem'), join(place.home, 'junk')]
  writeFileSync(chain, leaf.certificate)
  writeFileSync(key, leaf.privateKey)
  writeFileSync(junk, 'no certificate\n')
  const tls = (verb: string, certificate: string, privateKey: string) => [
    ...['secret', verb, '-n', 'pem', ...(verb === 'create' ? ['--format', 'tls'] : [])],
    ...['--cert-chain-file', certificate, '--private-key-file', privateKey],
  ]
  assert.match(await refused(2, ...tls('create', junk, key)), /--cert-chain-file, line 1: There is no PEM block[\s\S]*everleaf certificate check/)
  assert.match(await refused(2, ...tls('create', chain, junk)), /--private-key-file, line 1: There is no PEM block/)
  assert.match(await refused(2, ...tls('create', chain, chain)), /--private-key-file/)
  await done('ce', ...tls('create', chain, key))
  const kept = await done('ce', 'secret', 'get', '-n', 'pem')
  assert.match(await refused(2, 'secret', 'update', '-n', 'pem', '--private-key-file', junk), /no PEM block/)
  assert.equal(await done('ce', 'secret', 'get', '-n', 'pem'), kept)
})

test('a password that is missing is named by its option, read from JSON, and asked for at a terminal', LIMIT, async () => {
  for (const words of [
    ['registry', 'create', '-n', 'reg'],
    ['registry', 'create', '-n', 'reg', '--username', 'me'],
    ['secret', 'create', '-n', 'reg', '--format', 'registry', '--username', 'me'],
    ['secret', 'create', '-n', 'reg', '--format', 'basic_auth', '--username', 'me'],
  ])
    assert.match(await refused(2, ...words), /There is no password: give --password-from-file FILE/, words.join(' '))
  const [apikey, hmac] = [join(place.home, 'apikey.json'), join(place.home, 'hmac.json')]
  writeFileSync(apikey, '{"name":"mine","apikey":"from-json"}')
  writeFileSync(hmac, '{"cos_hmac_keys":{"access_key_id":"id","secret_access_key":"key"}}')
  assert.match(await refused(2, 'secret', 'create', '-n', 'x', '--format', 'basic_auth', '--password-from-json-file', apikey), /--username NAME must be given/)
  assert.match(await refused(2, 'registry', 'create', '-n', 'x', '--password-from-json-file', hmac), /--password-from-json-file has no apikey/)
  const decoded = async (name: string) => await done('ce', 'secret', 'get', '-n', name, '--decode')
  await done('ce', 'registry', 'create', '-n', 'by-json', '--pfj', apikey)
  assert.match(await decoded('by-json'), /^password: from-json$/m)
  await done('ce', 'secret', 'create', '-n', 'hmac', '--format', 'hmac', '--from-json-file', hmac)
  assert.match(await decoded('hmac'), /^access_key_id: id\nsecret_access_key: key$/m)
  assert.match(await done('ce', 'secret', 'list', '--format', 'hmac'), /^hmac +2 +hmac_auth /m)
  assert.doesNotMatch(await done('ce', 'secret', 'list', '--format', 'hmac'), /by-json/)
  assert.match(await done('ce', 'secret', 'list', '--all'), /^by-json /m)
})

test('at a terminal the password is asked for, and not shown', LIMIT, async () => {
  if (!existsSync('/usr/bin/script')) return couldNotRun('at a terminal the password is asked for', 'there is no script(1)')
  const command = `node ${join(ROOT, 'bin/ibmcloud')} ce registry create -n typed`
  const child = spawn('script', ['-qec', command, '/dev/null'], { env: environment(place), stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdout.on('data', (piece: Buffer) => {
    if (piece.includes('Password:')) child.stdin.write('typed-secret\r')
  })
  const { status, stdout } = await finish(child, 60_000)
  assert.deepEqual([status, /OK/.test(stdout), stdout.includes('typed-secret')], [0, true, false], stdout)
  assert.match(await done('ce', 'secret', 'get', '-n', 'typed', '--decode'), /^password: typed-secret$/m)
})

test("options of IBM's that are not here are refused by name, and those that are narrow what is listed", LIMIT, async () => {
  for (const [name, ...words] of [
    ['--revision-name', 'app', 'create', '-n', 'x', '--image', 'a', '--revision-name', 'one'],
    ['--build-clear', 'app', 'update', '-n', 'taken', '--build-clear'],
    ['--orphan-job-runs', 'job', 'delete', '-n', 'taken', '-f', '--orphan-job-runs'],
  ])
    assert.match(await refused(2, ...words), new RegExp(`Everleaf does not have ${name}: `))
  assert.ok((await names('job')).includes('taken'))
  const { region_id } = await json<{ region_id: string }>('ce', 'project', 'current')
  assert.equal((await json<unknown[]>('ce', 'project', 'list', '--regions', `us-none,${region_id}`)).length, 1)
  assert.deepEqual(await json<unknown[]>('ce', 'project', 'list', '--regions', 'us-none'), [])
})

test('small mistakes are named, with what to type', LIMIT, async () => {
  await done('ce', 'build', 'create', '-n', 'empty')
  assert.match(await refused(1, 'br', 'submit', '--build', 'empty'), /no source yet\.\nSend it with: ibmcloud ce buildrun submit --build empty --source FOLDER/)
  await done('ce', 'jobrun', 'submit', '--job', 'taken', '-n', 'big', '--wait')
  assert.match(await refused(1, 'jobrun', 'logs', '-n', 'big', '--instance', 'nope'), /no instance named nope/)
  assert.match(await refused(1, 'app', 'logs', '-n', 'taken', '--instance', 'taken-00001-nope'), /no instance named taken-00001-nope/)
  assert.match(await done('ce', 'jobrun', 'logs', '-n', 'big', '--instance', 'big-0-0'), /the first one/)
  assert.match(await refused(2, 'app', 'get', '-n', 'taken', '-o', 'jsonpath={.metadata.name'), /not closed/)
  const empty = await refused(2, 'app', 'get', '-n', '')
  assert.match(empty, /A name that was given is empty/)
  assert.doesNotMatch(empty, /did not answer/)
  const file = join(source, 'index.js')
  assert.match(await refused(1, 'app', 'create', '-n', 'x', '--build-source', file), /is no folder/)
  assert.match(await refused(1, 'build', 'create', '-n', 'x', '--source', file), /is no folder/)
  assert.match(await refused(2, 'job', 'create', '-n', 'x', '--build-source', source, '--build-context-dir', '../x'), /leads out of the source/)
  assert.match(await refused(2, 'build', 'create', '-n', 'x', '--source', source, '--context-dir', 'a/../..'), /leads out of the source/)
  await done('ce', 'secret', 'create', '-n', 'entries', '-l', 'A=1')
  const tag = async () => (await json<{ metadata: { resourceVersion: string } }>('ce', 'secret', 'get', '-n', 'entries')).metadata.resourceVersion
  const before = await tag()
  const { status, stderr } = await ibmcloud('ce', 'secret', 'update', '-n', 'entries', '--rm', 'NOSUCH')
  assert.deepEqual([status, stderr, await tag()], [0, 'There is no entry NOSUCH to take away.\n', before])
  assert.match(await done('ce', 'app', 'delete', '--help'), /delete an application/)
})
