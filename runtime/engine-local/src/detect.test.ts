import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BuildFailed } from '@everleaf/engine'
import { detect } from './detect.ts'

function source(files: Readonly<Record<string, string>>) {
  return {
    names: new Set(Object.keys(files).map((path) => path.split('/')[0] ?? '')),
    text: (name: string) => files[name] ?? '',
    exists: (path: string) => path in files,
  }
}

const shell = (line: string) => ['sh', '-c', 'PATH="$PWD/node_modules/.bin:$PATH"; export PATH; eval "$1"', 'sh', line]
for (const [what, files, command] of [
  ['a server.js alone', { 'server.js': '' }, ['node', 'server.js']],
  ['server.js before index.js', { 'index.js': '', 'server.js': '' }, ['node', 'server.js']],
  ['main before server.js', { 'package.json': '{"main":"./lib/app"}', 'lib/app.js': '', 'server.js': '' }, ['node', 'lib/app.js']],
  ['server.js when main is not there', { 'package.json': '{"main":"gone.js"}', 'server.js': '' }, ['node', 'server.js']],
  ['a plain start script without a shell', { 'package.json': '{"scripts":{"start":"node dist/x.js --port=1"}}' }, ['node', 'dist/x.js', '--port=1']],
  ['a start script that needs a shell', { 'package.json': '{"scripts":{"start":"A=1 node x.js && true"}}' }, shell('A=1 node x.js && true')],
  ['a program of a dependency', { 'package.json': '{"scripts":{"start":"next start"}}' }, shell('next start')],
  ['the Procfile before all', { Procfile: 'worker: x\nweb: node sync.js\n', 'package.json': '{"scripts":{"start":"node x.js"}}' }, ['node', 'sync.js']],
] as const)
  test(`detect() runs ${what}`, () => assert.deepEqual(detect(source(files)).command, command))

for (const [what, files, dependencies] of [
  ['none', { 'package.json': '{}', 'server.js': '' }, 'none'],
  ['those of the lock file', { 'package.json': '{"dependencies":{"a":"1"}}', 'package-lock.json': '', 'server.js': '' }, 'locked'],
  ['those it lists', { 'package.json': '{"dependencies":{"@a/b":"^1.2.3 || npm:x"}}', 'server.js': '' }, 'listed'],
] as const)
  test(`detect() wants ${what}`, () => assert.equal(detect(source(files)).dependencies, dependencies))

for (const [what, files, reason] of [
  ['Python, by name', { 'requirements.txt': '' }, /Python.*supported is Node/],
  ['Go, by name', { 'go.mod': '' }, /Go/],
  ['an empty folder', { notes: '' }, /Nothing says what/],
  ['Node without a start', { 'package.json': '{}' }, /how to start/],
  ['a package.json that is not JSON', { 'package.json': '{' }, /not JSON/],
  ['a main outside', { 'package.json': '{"main":"../x.js"}' }, /leaves the source/],
  ['a dependency on files of this machine', { 'package.json': '{"dependencies":{"a":"file:/root/a.tgz"}}', 'server.js': '' }, /registry/],
  ['a dependency by git', { 'package.json': '{"dependencies":{"a":"git+ssh://x/y"}}', 'server.js': '' }, /registry/],
  ['a dependency by GitHub’s short form', { 'package.json': '{"dependencies":{"a":"x/y"}}', 'server.js': '' }, /registry/],
] as const)
  test(`detect() refuses ${what}`, () =>
    assert.throws(
      () => detect(source(files)),
      (error) => error instanceof BuildFailed && reason.test(error.message),
    ))
