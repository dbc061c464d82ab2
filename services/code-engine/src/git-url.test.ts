import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folderIn, isRevision, readGitUrl } from './git-url.ts'

for (const [text, url, host, port, isSsh] of [
  ['https://github.com/IBM/CodeEngine', 'https://github.com/IBM/CodeEngine', 'github.com', 443, false],
  ['https://GitHub.com:8443/a/b.git', 'https://github.com:8443/a/b.git', 'github.com', 8443, false],
  ['https://[2606:2800::1]/a', 'https://[2606:2800::1]/a', '2606:2800::1', 443, false],
  ['https://0x7f000001/a', 'https://127.0.0.1/a', '127.0.0.1', 443, false],
  ['ssh://git@github.com/a/b', 'ssh://git@github.com/a/b', 'github.com', 22, true],
  ['ssh://github.com:2222/a', 'ssh://github.com:2222/a', 'github.com', 2222, true],
  ['git@GitHub.com:IBM/CodeEngine.git', 'git@github.com:IBM/CodeEngine.git', 'github.com', 22, true],
] as const)
  test(`readGitUrl() reads ${text}`, () => assert.deepEqual(readGitUrl(text), { url, host, port, isSsh }))

for (const [text, why] of [
  ['http://github.com/a/b', /is not the URL/],
  ['git://github.com/a/b', /is not the URL/],
  ['file:///etc', /is not the URL/],
  ['/etc', /is not the URL/],
  ['../x', /is not the URL/],
  ['ext::sh -c evil', /is not the URL/],
  ['--upload-pack=evil', /is not the URL/],
  ['-oProxyCommand=evil@host:path', /is not the URL/],
  ['git@-oProxyCommand=evil:path', /is not the URL/],
  ['git@host:-evil', /is not the URL/],
  ['ssh://-oProxyCommand=evil/a', /is not the URL/],
  ['ssh://git@-evil/a', /is not the URL/],
  ['https://github.com./a', /is not the URL/],
  ['https://github.com/', /is not the URL/],
  ['https://user@github.com/a', /no user name, password or token/],
  ['https://user:token@github.com/a', /no user name, password or token/],
  ['ssh://git:password@github.com/a', /no user name, password or token/],
  ['ssh://-x@github.com/a', /no user name, password or token/],
  ['https://github.com/a?b=c', /no query/],
  ['https://github.com/a#main', /no query/],
] as const)
  test(`readGitUrl() refuses ${text}`, () => assert.match(String(readGitUrl(text)), why))

for (const text of ['main', 'v1.2.3', 'feature/one', 'a1b2c3d', 'release-1', 'user@two', 'c++'])
  test(`isRevision() takes ${text}`, () => assert.ok(isRevision(text)))
for (const text of [
  '-x',
  '--upload-pack=evil',
  '+refs/heads/*:refs/heads/*',
  'a:b',
  'a..b',
  'a b',
  'a^{tree}',
  'a~1',
  'HEAD@{1}',
  'a//b',
  'a.lock',
  'a/',
  'a.',
  '*',
  '/a',
  '',
])
  test(`isRevision() refuses ${JSON.stringify(text)}`, () => assert.ok(!isRevision(text)))

for (const [text, folder] of [
  ['', ''],
  ['.', ''],
  ['/', ''],
  ['a/b', 'a/b'],
  ['./a//b/', 'a/b'],
  ['..', undefined],
  ['a/../../b', undefined],
  ['a/../b', undefined],
  ['.git', undefined],
  ['a\nb', undefined],
] as const)
  test(`folderIn() gives ${folder} for ${JSON.stringify(text)}`, () => assert.equal(folderIn(text), folder))
