import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { chainMaker } from '../support/certificates.ts'
import { commit, git, type GitServer, startGitServer, startSshServer } from '../support/git-server.ts'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { couldNotRun, freshHome, type Running, startPlatform } from '../support/platform.ts'

/* Builds from repositories as people type them. The repositories are on this machine, which the platform is told to allow. */
const LIMIT = { timeout: 120_000 }
const [place, elsewhere] = [freshHome(), freshHome()]
const ibmcloud = ibmcloudOf(place)
const { done, json } = ibmcloud
const repositories = join(elsewhere.home, 'repositories')
const hello = join(repositories, 'hello')
let server: GitServer
let platform: Running
let url = ''
const commits: string[] = []
before(async () => {
  for (const word of ['first', 'second']) commits.push(commit(hello, { 'jobs/hello/index.js': `console.log('the ${word} one')`, 'README.md': 'no program' }))
  git(hello, 'tag', 'v1', commits[0] ?? '')
  const maker = await chainMaker()
  const { certificate, intermediate, privateKey } = await maker.leaf(['127.0.0.1'])
  const roots = join(elsewhere.home, 'root.pem')
  writeFileSync(roots, maker.root)
  server = await startGitServer(repositories, { certificate: `${certificate}\n${intermediate}`, key: privateKey })
  url = `https://127.0.0.1:${server.port}/hello/.git`
  platform = await startPlatform({ ...place, args: ['--set', 'git.allow=127.0.0.0/8'], env: { GIT_SSL_CAINFO: roots } })
})
after(async () => {
  await platform.stop()
  server.close()
  for (const one of [place, elsewhere]) one[Symbol.dispose]()
})

async function says(job: string): Promise<string> {
  const { metadata } = await json<{ metadata: { name: string } }>('ce', 'jobrun', 'submit', '--job', job, '--wait')
  return await done('ce', 'jobrun', 'logs', '-n', metadata.name)
}

const names = async (...words: string[]) => (await json<{ items: { metadata: { name: string } }[] }>(...words)).items.map(({ metadata }) => metadata.name)

test('a job is built from a folder of a repository: by its tag, then as the repository is, then from a folder of this machine', LIMIT, async () => {
  const words = ['-n', 'hello', '--build-source', url, '--build-context-dir', 'jobs/hello']
  await done('ce', 'job', 'create', ...words, '--build-commit', 'v1')
  assert.match(await says('hello'), /the first one/)
  const [run = ''] = await names('ce', 'buildrun', 'list', '--build', 'job-hello')
  assert.match(await done('ce', 'buildrun', 'get', '-n', run), new RegExp(`^Commit: +${commits[0]}, by Ada$`, 'm'))
  assert.match(await done('ce', 'buildrun', 'get', '-n', run), /^Status: +succeeded$/m)
  assert.match(await done('ce', 'buildrun', 'logs', '-n', run), new RegExp(`Commit ${commits[0]}`))
  await done('ce', 'job', 'update', ...words)
  assert.match(await says('hello'), /the second one/)
  const folder = join(elsewhere.home, 'folder')
  commit(folder, { 'index.js': `console.log('the local one')` })
  await done('ce', 'job', 'update', '-n', 'hello', '--build-source', folder)
  assert.match(await says('hello'), /the local one/)
})

test('a build of a repository is made, run at other commits, changed, and run without a build', LIMIT, async () => {
  await done('ce', 'build', 'create', '-n', 'b', '--source', url, '--context-dir', 'jobs/hello', '--image', 'private.everleaf/b')
  await done('ce', 'job', 'create', '-n', 'b', '--image', 'private.everleaf/b')
  const build = async (...words: string[]) => await done('ce', 'buildrun', 'submit', '--build', 'b', '--wait', ...words)
  await build('--commit', (commits[0] ?? '').slice(0, 10))
  assert.match(await says('b'), /the first one/)
  await build()
  assert.match(await says('b'), /the second one/)
  await done('ce', 'build', 'update', '-n', 'b', '--commit', 'v1')
  await build()
  assert.match(await says('b'), /the first one/)
  await done('ce', 'build', 'update', '-n', 'b', '--commit-clear')
  await done('ce', 'buildrun', 'submit', '-n', 'alone', '--image', 'private.everleaf/alone', '--src', url, '--cdr', 'jobs/hello', '--cm', 'v1', '--wait')
  await done('ce', 'job', 'create', '-n', 'alone', '--image', 'private.everleaf/alone')
  assert.match(await says('alone'), /the first one/)
})

test('what cannot be fetched is said with what to do, and nothing of it stays', LIMIT, async () => {
  const fails = async (...words: string[]) => {
    const { status, stderr } = await ibmcloud('ce', 'buildrun', 'submit', '--image', 'private.everleaf/x', '--wait', ...words)
    assert.equal(status, 1, stderr)
    return stderr
  }
  assert.match(await fails('--source', url), /Nothing says what this source is.*\n?.*supported are Node/s)
  assert.match(await fails('--source', url, '--commit', 'none'), /has no branch, tag or commit none: check source_revision/)
  assert.match(await fails('--source', `https://127.0.0.1:${server.port}/none`), /not open to everyone/)
  assert.match(await fails('--source', 'https://10.0.0.1/x'), /leads to a private address.*git\.allow/)
  assert.match(await fails('--source', 'https://me:token@github.com/x'), /must hold no user name, password or token/)
  assert.match(await fails('--source', 'http://github.com/x'), /is not the URL of a repository/)
  for (const [words, says] of [
    [['build', 'create', '-n', 'y', '--build-type', 'git'], /names its repository: --source https/],
    [['build', 'create', '-n', 'y', '--build-type', 'local', '--source', url], /is of type git/],
    [['build', 'create', '-n', 'y', '--source', '.', '--commit', 'v1'], /--commit goes with a repository/],
    [['buildrun', 'submit'], /Say what is built: --build NAME, or --image/],
    [['app', 'create', '-n', 'y', '--image', 'x', '--build-commit', 'v1'], /--build-commit goes with a repository/],
  ] as const) {
    const { status, stderr } = await ibmcloud('ce', ...words)
    assert.deepEqual([status, says.test(stderr)], [2, true], `${words.join(' ')}: ${stderr}`)
  }
})

test('a private repository is built by the key of a secret, which no output shows', LIMIT, async () => {
  const ssh = await startSshServer(join(elsewhere.home, 'ssh'), '127.0.0.1')
  if (ssh === undefined) return couldNotRun('builds from private repositories over ssh', 'OpenSSH is missing: tools/system-packages installs it')
  try {
    const [key, known] = [join(elsewhere.home, 'key'), join(elsewhere.home, 'known')]
    writeFileSync(key, ssh.key, { mode: 0o600 })
    writeFileSync(known, ssh.knownHosts)
    const source = ['--source', `ssh://${ssh.user}@127.0.0.1:${ssh.port}${hello}`, '--context-dir', 'jobs/hello', '--git-repo-secret', 'deploy']
    const submit = async () => await ibmcloud('ce', 'buildrun', 'submit', '--image', 'private.everleaf/own', '--wait', ...source)
    const without = await submit()
    assert.match(without.stderr, /no secret deploy of format ssh_auth/)
    await done('ce', 'secret', 'create', '--format', 'ssh', '-n', 'deploy', '--key-path', key, '--known-hosts-path', known)
    const built = await submit()
    assert.equal(built.status, 0, built.stderr)
    await done('ce', 'job', 'create', '-n', 'own', '--image', 'private.everleaf/own')
    assert.match(await says('own'), /the second one/)
    const [run = ''] = (await names('ce', 'buildrun', 'list')).slice(-1)
    for (const shown of [built.stdout, built.stderr, await done('ce', 'buildrun', 'logs', '-n', run), platform.output()])
      assert.ok(!shown.includes('PRIVATE KEY'))
  } finally {
    ssh.close()
  }
})
