import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { BuildFailed, GitSource } from '@everleaf/engine'
import { chainMaker } from '@everleaf/tests/support/certificates'
import { commit, git, type GitServer, startGitServer, startSshServer } from '@everleaf/tests/support/git-server'
import { parseCidr } from '@everleaf/world/addresses'
import { extractArchive } from '../src/archive.ts'
import { fetchGit, type GitDeps } from '../src/git-source.ts'

const folder = mkdtempSync(join(tmpdir(), 'everleaf-git-'))
const repositories = join(folder, 'repositories')
const shop = join(repositories, 'shop')
const commits: Record<string, string> = {}
let server: GitServer
let env: Record<string, string> = {}
before(async () => {
  commits.first = commit(shop, { 'server.js': 'first', 'inner/app.js': 'inner' })
  commits.second = commit(shop, { 'server.js': 'second', 'notes.txt': 'left out', '.gitattributes': 'notes.txt export-ignore\nserver.js filter=evil\n' })
  git(shop, 'tag', '--annotate', '--message', 'first', 'v1', commits.first)
  git(shop, 'checkout', '--quiet', '-b', 'side')
  commits.side = commit(shop, { 'server.js': 'side' })
  git(shop, 'checkout', '--quiet', 'trunk')
  const maker = await chainMaker()
  const { certificate, intermediate, privateKey } = await maker.leaf(['git.test'])
  writeFileSync(join(folder, 'root.pem'), maker.root)
  server = await startGitServer(repositories, { certificate: `${certificate}\n${intermediate}`, key: privateKey })
  // What a user of this machine has set must not act on what others fetch.
  mkdirSync(join(folder, 'home'))
  writeFileSync(join(folder, 'home/.gitconfig'), '[url "https://evil.test/"]\n\tinsteadOf = https://git.test\n')
  env = { PATH: process.env.PATH ?? '', HOME: join(folder, 'home'), GIT_SSL_CAINFO: join(folder, 'root.pem') }
})
after(() => {
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

let count = 0
const loopback = [parseCidr('127.0.0.0/8')]

async function fetched(change: Partial<GitSource> = {}, options: Partial<GitDeps> = {}) {
  const log: string[] = []
  const at = join(folder, `fetch-${++count}`)
  const source = { url: `https://git.test:${server.port}/shop/.git`, host: 'git.test', port: server.port, ...change }
  const signal = AbortSignal.timeout(60_000)
  const deps = { folder: at, env, signal, log: (text: string) => void log.push(text), lookup: async () => ['127.0.0.1'], allowPrivate: loopback, ...options }
  const { archive, commit: found } = await fetchGit(source, deps)
  const into = join(folder, `unpacked-${count}`)
  mkdirSync(into)
  await extractArchive({ archive, into })
  const read = (name: string) => spawnSync('cat', [join(into, name)], { encoding: 'utf8' }).stdout
  return { commit: found, read, has: (name: string) => existsSync(join(into, name)), log }
}

const refused = async (change: Partial<GitSource>, options: Partial<GitDeps>, reason: string, says: RegExp) =>
  await assert.rejects(fetched(change, options), (error: BuildFailed) => {
    assert.match(error.message, says)
    assert.equal(error.reason, reason)
    return true
  })

test('fetchGit() takes what the repository shows first, and says which commit it is', async () => {
  const { commit: found, read, has } = await fetched()
  assert.deepEqual(found, { sha: commits.second, author: 'Ada', at: Date.parse('2026-03-01T00:00:00Z'), branch: 'trunk' })
  assert.equal(read('server.js'), 'second')
  assert.ok(has('notes.txt'), 'what is left out of releases is source all the same')
})

for (const [what, revision, sha, branch] of [
  ['a branch', () => 'side', 'side', 'side'],
  ['a tag', () => 'v1', 'first', undefined],
  ['a commit', () => commits.first, 'first', undefined],
  ['a short commit', () => commits.first?.slice(0, 9), 'first', undefined],
] as const)
  test(`fetchGit() takes ${what}`, async () => {
    const { commit: found, read } = await fetched({ revision: revision() ?? '' })
    assert.deepEqual([found.sha, found.branch], [commits[sha], branch])
    assert.equal(read('server.js'), sha)
  })

test('fetchGit() takes one folder alone', async () => {
  const { read, has } = await fetched({ folder: 'inner' })
  assert.deepEqual([read('app.js'), has('server.js')], ['inner', false])
})

for (const [what, change, says] of [
  ['no such folder', { folder: 'none' }, /has no folder none: check source_context_dir/],
  ['a file for a folder', { folder: 'server.js' }, /has no folder server\.js/],
  ['no such branch', { revision: 'none' }, /has no branch, tag or commit none: check source_revision/],
  ['no such commit', { revision: 'dead0000' }, /has no branch, tag or commit dead0000/],
  ['an option for a revision', { revision: '--upload-pack=touch /tmp/everleaf-evil' }, /git|has no branch/],
] as const)
  test(`fetchGit() on ${what} says what to look at`, async () => {
    await assert.rejects(fetched(change), says)
    assert.ok(!existsSync('/tmp/everleaf-evil'))
  })

test('fetchGit() calls no address that is not public and not listed, and nothing is sent to it', async () => {
  const before = server.asked.length
  await refused({}, { allowPrivate: [] }, 'missing_code_repo_access', /leads to a loopback address.*git\.allow/)
  await refused({}, { lookup: async () => ['93.184.216.34', '169.254.169.254'] }, 'missing_code_repo_access', /metadata address/)
  assert.equal(server.asked.length, before)
})

test('fetchGit() calls the address that was judged, whatever the name leads to later', async () => {
  // No resolver knows git.test: that it was fetched shows that none was asked.
  assert.equal((await fetched()).commit.sha, commits.second)
})

test('fetchGit() follows a repository to its name with .git, and to no other place', async () => {
  git(folder, 'clone', '--quiet', '--bare', shop, join(repositories, 'moved.git'))
  server.instead.set('/moved/', { status: 301, location: `https://git.test:${server.port}/moved.git` })
  const { log } = await fetched({ url: `https://git.test:${server.port}/moved` })
  assert.match(log.join('\n'), /under its name with \.git/)
  server.instead.set('/gone.git/', { status: 302, location: `https://git.test:${server.port}/shop/.git` })
  const before = server.asked.filter((path) => path.startsWith('/shop')).length
  await refused({ url: `https://git.test:${server.port}/gone.git` }, {}, 'missing_code_repo_access', /has moved\. Name where it is now/)
  assert.equal(server.asked.filter((path) => path.startsWith('/shop')).length, before)
})

for (const [what, status] of [
  ['asks for credentials', 401],
  ['is forbidden', 403],
  ['is not there', 404],
] as const)
  test(`fetchGit() on a repository that ${what} says how private ones are fetched, and asks nobody`, async () => {
    server.instead.set(`/status-${status}/`, { status })
    await refused({ url: `https://git.test:${server.port}/status-${status}/` }, {}, 'missing_code_repo_access', /not open to everyone.*source_secret/)
  })

test('where the machine has a proxy for https it calls, and no name is asked for here', async () => {
  const proxied: string[] = []
  let programs = ''
  const proxy = createServer().on('connect', (request, socket, head) => {
    proxied.push(request.url ?? '')
    programs += spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).stdout
    const to = connect(server.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      to.write(head)
      socket.pipe(to).pipe(socket)
    })
    for (const end of [to, socket]) end.on('error', () => {})
  })
  await new Promise<void>((open) => proxy.listen(0, '127.0.0.1', open))
  try {
    const { port } = proxy.address() as AddressInfo
    const lookup = async () => assert.fail('a name was asked for')
    const proxiedEnv = { ...env, HTTPS_PROXY: `http://me:hidden@127.0.0.1:${port}`, NO_PROXY: 'git.test' }
    assert.equal((await fetched({}, { env: proxiedEnv, lookup, allowPrivate: [] })).commit.sha, commits.second)
    assert.ok(proxied.length > 0 && proxied.every((place) => place === `git.test:${server.port}`))
    assert.match(programs, /git .*fetch/)
    assert.doesNotMatch(programs, /me:hidden/, 'what a proxy is opened with is shown to the machine')
  } finally {
    proxy.close()
  }
})

test('fetchGit() trusts no certificate that the machine does not', async () => {
  const { GIT_SSL_CAINFO: _, ...without } = env
  await refused({}, { env: without }, 'missing_code_repo_access', /certificate is not trusted.*GIT_SSL_CAINFO/)
})

for (const [what, url] of [
  ['a file', () => `file://${shop}`],
  ['a folder', () => shop],
  ['a helper', () => 'ext::sh -c "touch /tmp/everleaf-evil"'],
] as const)
  test(`fetchGit() reads nothing by ${what}`, async () => {
    await assert.rejects(fetched({ url: url() }), /cannot be fetched|not open to everyone/)
    assert.ok(!existsSync('/tmp/everleaf-evil'))
  })

test('fetchGit() ends with its limit, and leaves no git behind', async () => {
  server.instead.set('/never/', 'never')
  const began = performance.now()
  const limit = AbortSignal.timeout(1_500)
  await assert.rejects(fetched({ url: `https://git.test:${server.port}/never/` }, { signal: limit }), /abort|timeout/i)
  assert.ok(performance.now() - began < 5_000)
  const left = spawnSync('pgrep', ['-f', `git.test:${server.port}/never`], { encoding: 'utf8' }).stdout
  assert.equal(left, '')
})

test('fetchGit() ends where a repository is larger than a source may be', async () => {
  commit(join(repositories, 'large'), { 'noise.bin': crypto.getRandomValues(new Uint8Array(60_000)).toString() })
  const url = `https://git.test:${server.port}/large/.git`
  await refused({ url }, { maxBytes: 30_000 }, 'exceeded_ephemeral_storage', /larger than a source may be/)
  assert.ok((await fetched({ url })).has('noise.bin'))
})

test('a link of a repository that leads out of it is refused like that of any archive', async () => {
  const odd = join(repositories, 'odd')
  commit(odd, { 'server.js': 'odd' })
  symlinkSync('../../../etc/passwd', join(odd, 'leak'))
  commit(odd, {})
  await assert.rejects(fetched({ url: `https://git.test:${server.port}/odd/.git` }), /"leak"/)
})

test('what submodules hold is said to be missing', async () => {
  const whole = join(repositories, 'whole')
  commit(whole, { 'server.js': 'whole' })
  git(whole, 'submodule', '--quiet', 'add', shop, 'inside')
  commit(whole, {})
  const { log, has } = await fetched({ url: `https://git.test:${server.port}/whole/.git` })
  assert.match(log.join('\n'), /Submodules are not fetched/)
  assert.ok(!has('inside/server.js'))
})

test('fetchGit() opens a private repository by its key over ssh, and only where the host is who it was', async (context) => {
  const ssh = await startSshServer(join(folder, 'ssh'), 'git.test')
  if (ssh === undefined) return context.skip('needs OpenSSH: tools/system-packages installs it')
  try {
    const at = { url: `ssh://${ssh.user}@git.test:${ssh.port}${shop}`, port: ssh.port }
    const key = { privateKey: ssh.key, knownHosts: ssh.knownHosts }
    assert.equal((await fetched({ ...at, key })).commit.sha, commits.second)
    const { log } = await fetched({ ...at, key: { privateKey: ssh.key } })
    assert.match(log.join('\n'), /host key of git\.test is taken as it comes/)
    assert.ok(!log.join('\n').includes('PRIVATE KEY'))
    await refused({ ...at, key: { ...key, privateKey: ssh.otherKey } }, {}, 'missing_code_repo_access', /not open to everyone/)
    const other = ssh.knownHosts.replace(/ssh-ed25519 \S+/, 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8P2m5zGm0mRz5n0m6cV4p4e6kqk1k3m0mRz5n0m6cV')
    for (const knownHosts of [other, ''])
      await refused({ ...at, key: { ...key, knownHosts } }, {}, 'missing_code_repo_access', /host key is none of known_hosts/)
  } finally {
    ssh.close()
  }
})
