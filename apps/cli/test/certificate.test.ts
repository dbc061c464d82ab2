import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createAuthority, issueLeaf } from '@everleaf/pki/issue'
import { createWorld } from '@everleaf/world'

const world = createWorld()
const folder = mkdtempSync(join(tmpdir(), 'everleaf-check-'))
after(() => rmSync(folder, { recursive: true }))
const at = (name: string) => join(folder, name)
const main = join(import.meta.dirname, '../src/main.ts')

const life = { now: world.now(), lifeMs: 30 * 86_400_000 }
const root = await createAuthority({ name: 'Check root', ...life })
const authority = await createAuthority({ name: 'Check', parent: root, ...life })
const issued = await issueLeaf({ authority, names: ['shop.example.com'], ...life })
writeFileSync(at('leaf.pem'), issued.certificate)
writeFileSync(at('chain.pem'), authority.certificate)
writeFileSync(at('key.pem'), issued.privateKey)
writeFileSync(at('root.pem'), root.certificate)

// A home that does not exist: no platform is asked.
function check(...words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'certificate', 'check', ...words], {
    encoding: 'utf8',
    env: { ...process.env, NODE_NO_WARNINGS: '1', EVERLEAF_HOME: at('nowhere') },
    timeout: 20_000,
  })
  return { status, stdout, stderr }
}

test('certificate check writes the chain in order and ends with 0', () => {
  const { status, stdout, stderr } = check(
    at('chain.pem'),
    at('leaf.pem'),
    '--key',
    at('key.pem'),
    '--host',
    'shop.example.com',
    '--trust',
    at('root.pem'),
    '--fix',
    at('fixed.pem'),
  )
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /fit for a TLS server/)
  assert.equal(readFileSync(at('fixed.pem'), 'utf8').trim(), `${issued.certificate.trim()}\n${authority.certificate.trim()}`)
})

test('certificate check says what is wrong, in which file and line, and how it is mended', () => {
  const { status, stdout } = check(at('chain.pem'), at('leaf.pem'), '--host', 'other.example.com', '--json', '--fix', at('unwritten.pem'))
  assert.equal(status, 1)
  const { fit, faults } = JSON.parse(stdout)
  assert.equal(fit, false)
  assert.deepEqual(
    faults.map(({ code, file, line }: { code: string; file: string; line: number }) => [code, file, line]),
    [['host-not-covered', at('leaf.pem'), 1]],
  )
  assert.match(faults[0].mend, /names this host/)
  assert.equal(existsSync(at('unwritten.pem')), false)
})

test('certificate check judges at the time that it is given', () => {
  assert.equal(check(at('leaf.pem'), at('chain.pem'), '--at', '2099-01-01T00:00:00Z').status, 1)
})

test('certificate check ends with 2 for a file that is not there, a time that is none and no file at all', () => {
  assert.equal(check(at('none.pem')).status, 2)
  assert.equal(check(at('leaf.pem'), '--at', 'soon').status, 2)
  assert.equal(check().status, 2)
})

test('certificate check never shows anything of a key in the wrong place', () => {
  const { status, stdout, stderr } = check(at('key.pem'))
  assert.equal(status, 1)
  assert.match(stdout, /key-in-certificate/)
  const secret = issued.privateKey.split('\n')[1] ?? ''
  assert.ok(secret.length > 20 && !`${stdout}${stderr}`.includes(secret))
})
