import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { chainMaker } from '../support/certificates.ts'
import { couldNotRun, finish, freshHome, ROOT, startPlatform } from '../support/platform.ts'

const PYTHON = join(ROOT, 'tests/conformance/.venv/bin/python')

test("IBM's official Python clients build the whole pipeline, rotate, and read the replaced secret back", { timeout: 180_000 }, async () => {
  if (!existsSync(PYTHON)) return couldNotRun("the pipeline with IBM's Python clients", 'run tools/system-packages')
  execFileSync(process.execPath, [join(ROOT, 'apps/sync/build.ts')])
  using place = freshHome()
  await using platform = await startPlatform(place)
  const { domain } = JSON.parse(readFileSync(join(place.home, 'run/ports.json'), 'utf8')) as { domain: string }
  const maker = await chainMaker()
  const given = {
    first: await maker.leaf(['python.example.com']),
    second: await maker.leaf(['python.example.com']),
    root: maker.root,
    sync: readFileSync(join(ROOT, 'apps/sync/dist/sync.js'), 'utf8'),
    iamForInstances: `https://iam.${domain}:${platform.ports.private}`,
    secretsManagerForInstances: `https://<guid>.secrets-manager.${domain}:${platform.ports.private}`,
  }
  // The certificates of the environment are for https; these clients speak to plain loopback.
  const child = spawn(PYTHON, [join(ROOT, 'tests/conformance/pipeline.py')], {
    env: { PATH: process.env.PATH ?? '', ...platform.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.end(JSON.stringify(given))
  const { status, stdout, stderr } = await finish(child, 150_000)
  assert.equal(status, 0, stderr + stdout)
  assert.deepEqual(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''), { replaced: true })
})
