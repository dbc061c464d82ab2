import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { ANY_PORTS, environment, eventually, finish, freshHome, processesOf, ROOT } from '../support/platform.ts'

const dist = join(ROOT, 'dist')
before(() => {
  rmSync(dist, { recursive: true, force: true })
  execFileSync(process.execPath, ['tools/build.ts'], { cwd: ROOT, stdio: 'pipe' })
})

const place = freshHome()
const env = { ...environment(place), EVERLEAF_BUILT: '1' }
const command = (program: string, ...words: readonly string[]) =>
  finish(spawn('node', [join(ROOT, 'bin', program), ...words], { env, stdio: ['ignore', 'pipe', 'pipe'] }), 120_000)

test('what `npm run build` makes proves a rotation, answers its commands, and stops', { timeout: 240_000 }, async () => {
  const proven = await command('everleaf', 'demo', '--once', '--json', ...ANY_PORTS)
  assert.equal(proven.status, 0, proven.stdout + proven.stderr)
  assert.equal((JSON.parse(proven.stdout.trim().split('\n').at(-1) ?? '') as { proven: boolean }).proven, true)

  const platform = spawn('node', [join(ROOT, 'bin/everleaf'), 'up', ...ANY_PORTS], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = finish(platform, 200_000)
  await eventually('the built platform is up', () => existsSync(join(place.home, 'run/ports.json')), 60_000)
  await eventually('it is ready', async () => (await command('everleaf', 'status')).stdout.startsWith('ready'))
  assert.ok(
    processesOf(place.home).some((line) => line.includes(join(dist, 'everleaf.mjs'))),
    'it runs from source',
  )
  assert.match((await command('everleaf', 'renew', 'list')).stdout, /shop\.example\.com/)
  assert.match((await command('ibmcloud', 'secrets-manager', 'secrets')).stdout, /demo-site/)
  platform.kill('SIGTERM')
  assert.equal((await ended).status, 0)
  await eventually('no process is left', () => processesOf(place.home).length === 0, 15_000)
  assert.equal(readFileSync(join(place.home, 'login.json'), 'utf8').length > 10, true)
  place[Symbol.dispose]()
})
