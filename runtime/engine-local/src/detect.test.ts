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

const shell = (line: string) => [
  'sh',
  '-c',
  'PATH="$PWD/node_modules/.bin:$PWD/.everleaf/bin:$PWD/.everleaf/python/bin:$PATH"; export PATH; eval "$1"',
  'sh',
  line,
]
for (const [what, files, command] of [
  ['a server.js alone', { 'server.js': '' }, ['node', 'server.js']],
  ['server.js before index.js', { 'index.js': '', 'server.js': '' }, ['node', 'server.js']],
  ['main before server.js', { 'package.json': '{"main":"./lib/app"}', 'lib/app.js': '', 'server.js': '' }, ['node', 'lib/app.js']],
  ['server.js when main is not there', { 'package.json': '{"main":"gone.js"}', 'server.js': '' }, ['node', 'server.js']],
  ['a plain start script without a shell', { 'package.json': '{"scripts":{"start":"node dist/x.js --port=1"}}' }, ['node', 'dist/x.js', '--port=1']],
  ['a start script that needs a shell', { 'package.json': '{"scripts":{"start":"A=1 node x.js && true"}}' }, shell('A=1 node x.js && true')],
  ['a program of a dependency', { 'package.json': '{"scripts":{"start":"next start"}}' }, shell('next start')],
  ['app.py', { 'app.py': '', 'requirements.txt': 'flask' }, ['python3', 'app.py']],
  ['a Procfile with a program of a package', { Procfile: 'web: gunicorn app:app', 'requirements.txt': 'gunicorn' }, shell('gunicorn app:app')],
  ['a Procfile with Python', { Procfile: 'web: python3 -m app', 'app.py': '' }, ['python3', '-m', 'app']],
  ['the program that Go makes', { 'go.mod': 'module x', 'main.go': '' }, ['./.everleaf/bin/app']],
  ['the only program in Go', { 'a.go': 'package main\n\nfunc main() {}\n', 'b.go': 'package main\n', 'a_test.go': 'func main() {}' }, ['./.everleaf/bin/app']],
  ['Node before a program in Go', { 'a.go': 'func main() {}', 'server.js': '' }, ['node', 'server.js']],
  ['the Procfile before all', { Procfile: 'worker: x\nweb: node sync.js\n', 'package.json': '{"scripts":{"start":"node x.js"}}' }, ['node', 'sync.js']],
] as const)
  test(`detect() runs ${what}`, () => assert.deepEqual(detect(source(files)).command, command))

for (const [what, files, dependencies] of [
  ['none', { 'package.json': '{}', 'server.js': '' }, 'none'],
  ['those of the lock file', { 'package.json': '{"dependencies":{"a":"1"}}', 'package-lock.json': '', 'server.js': '' }, 'locked'],
  ['those that requirements pin', { 'requirements.txt': 'a==1.0 --hash=sha256:00\nb[x]==2 # why', 'app.py': '' }, 'locked'],
  ['those that requirements list', { 'requirements.txt': 'a>=1.0', 'app.py': '' }, 'listed'],
  ['those it lists', { 'package.json': '{"dependencies":{"@a/b":"^1.2.3 || npm:x"}}', 'server.js': '' }, 'listed'],
] as const)
  test(`detect() wants ${what}`, () => assert.equal(detect(source(files)).dependencies, dependencies))

for (const [what, files, reason] of [
  ['Rust, by name', { 'Cargo.toml': '' }, /Rust.*supported are Node/],
  ['a Gradle build', { 'build.gradle': '' }, /add a pom\.xml/],
  ['Python without a start', { 'requirements.txt': '' }, /how to start/],
  ['Python with a project file alone', { 'pyproject.toml': '', 'app.py': '' }, /requirements\.txt/],
  ['a requirement by git', { 'requirements.txt': 'a @ git+https://x/y', 'app.py': '' }, /registry/],
  ['a requirement that is a file', { 'requirements.txt': './a.whl', 'app.py': '' }, /registry/],
  ['a requirement that is an option', { 'requirements.txt': '--index-url=x', 'app.py': '' }, /registry/],
  ['a Go module replaced by a folder above', { 'go.mod': 'replace a => ../b' }, /outside/],
  ['a Go module replaced by a folder of this machine', { 'go.mod': 'replace a v1 => /b' }, /outside/],
  ['two programs in Go', { 'job.go': 'func main() {}', 'app.go': 'func main() {}' }, /app\.go, job\.go.*folder of its own/],
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
