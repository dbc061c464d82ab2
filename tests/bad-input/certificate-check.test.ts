import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type Authority, createAuthority, issueLeaf } from '@everleaf/pki/issue'
import { finish, ROOT } from '../support/platform.ts'

// Whatever a file holds, the command answers within its limits: what is wrong, in the words of the gate, and never with a crash.
const folder = mkdtempSync(join(tmpdir(), 'everleaf-bad-'))
after(() => rmSync(folder, { recursive: true }))
const fileOf = (name: string, content: string | Uint8Array) => {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}
const life = { now: new Date(), lifeMs: 30 * 86_400_000 }
const HOST = 'shop.example.com'
const root = await createAuthority({ name: 'Root', ...life })
const authority = await createAuthority({ name: 'Authority', parent: root, ...life })
const leaf = await issueLeaf({ authority, names: [HOST], ...life })
const other = await issueLeaf({ authority, names: [HOST], ...life })
const chain = leaf.certificate + authority.certificate

async function crossed(): Promise<string> {
  const signers: Authority[] = []
  for (let n = 0; n < 3; n++) signers.push(await createAuthority({ name: 'Crossed', ...life, pathLength: 9 }))
  const all: string[] = []
  for (const parent of signers) for (let n = 0; n < 3; n++) all.push((await createAuthority({ name: 'Crossed', parent, ...life, pathLength: 9 })).certificate)
  return (await issueLeaf({ authority: signers[0] as Authority, names: [HOST], ...life })).certificate + all.join('')
}

const encrypted = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'a pass phrase' },
}).privateKey
// A key of 16,384 bits takes minutes to make: its form is what matters here, and a modulus of ones has it.
const longKey = `-----BEGIN RSA PRIVATE KEY-----\n${Buffer.concat([Buffer.from('308208020201000282080100', 'hex'), Buffer.alloc(2048, 255)])
  .toString('base64')
  .replaceAll(/.{64}/g, '$&\n')}\n-----END RSA PRIVATE KEY-----\n`

const good = fileOf('good.pem', chain)
const CASES: readonly (readonly [what: string, code: string, words: readonly string[]])[] = [
  ['10 MB of white space', 'too-large', [fileOf('white.pem', ' \n'.repeat(5_000_000))]],
  ['10 MB of white space for a key', 'key-missing', [good, '--key', fileOf('white.key', ' \n'.repeat(5_000_000))]],
  ['10 MB of something for a key', 'too-large', [good, '--key', fileOf('big.key', 'x\n'.repeat(5_000_000))]],
  ['a thousand certificates', 'too-large', [fileOf('many.pem', leaf.certificate.repeat(1000))]],
  ['eleven certificates', 'too-many-certificates', [fileOf('eleven.pem', leaf.certificate.repeat(11))]],
  ['paths without number', 'untrusted', [fileOf('paths.pem', await crossed()), '--trust', fileOf('root.pem', root.certificate)]],
  ['a key of 16,384 bits that is cut off', 'unreadable-key', [good, '--key', fileOf('long.key', longKey)]],
  ['NUL bytes', 'binary-junk', [fileOf('nul.pem', Buffer.alloc(80_000))]],
  ['a NUL byte in a certificate', 'binary-junk', [fileOf('nul-inside.pem', chain.replace('\n', '\n\0'))]],
  ['two leaves', 'unrelated-certificate', [fileOf('two.pem', leaf.certificate + other.certificate + authority.certificate)]],
  ['a key among the certificates', 'key-in-certificate', [fileOf('key-inside.pem', chain + leaf.privateKey)]],
  ['a certificate for a key', 'unexpected-block', [good, '--key', good]],
  ['an encrypted key', 'encrypted-key', [good, '--key', fileOf('encrypted.key', encrypted)]],
  ['the key of another', 'key-mismatch', [good, '--key', fileOf('other.key', other.privateKey)]],
  ['a host in letters that look alike', 'host-not-covered', [good, '--host', 'ѕhop.example.com']],
  ['an empty file', 'empty', [fileOf('empty.pem', '')]],
  ['binary DER', 'der-not-pem', [fileOf('leaf.der', Buffer.from(leaf.certificate.split('\n').slice(1, -2).join(''), 'base64'))]],
  ['a folder of roots that is a key', 'bad-trust', [good, '--trust', fileOf('trust.pem', leaf.privateKey)]],
]

const LIMIT_MS = 30_000

async function check(words: readonly string[]) {
  const began = performance.now()
  // With the memory of a small machine: nothing that a file holds may need more.
  const child = spawn(process.execPath, ['--max-old-space-size=128', join(ROOT, 'bin/everleaf'), 'certificate', 'check', ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return { ...(await finish(child, LIMIT_MS)), tookMs: performance.now() - began }
}

for (const [what, code, words] of CASES)
  test(`certificate check answers ${what} with ${code}`, async () => {
    const { status, stdout, stderr } = await check([...words, '--json'])
    assert.equal(status, 1, stderr)
    assert.equal(stderr.replaceAll(/\(.*Warning.*\n|\(Use .*\n/g, ''), '')
    const { fit, faults } = JSON.parse(stdout)
    assert.equal(fit, false)
    assert.ok(
      faults.some((fault: { code: string; mend: string }) => fault.code === code && fault.mend !== ''),
      stdout.slice(0, 500),
    )
    const secret = leaf.privateKey.split('\n')[1] ?? ''
    assert.ok(!stdout.includes(secret), 'nothing of a key is shown')
  })

test('certificate check answers a folder, a device of nothing and a name that is too long in words', async () => {
  for (const file of [folder, join(folder, 'x'.repeat(5000)), '']) assert.equal((await check([file])).status, 2, file.slice(0, 20))
  assert.equal((await check(['/dev/null'])).status, 1)
})
