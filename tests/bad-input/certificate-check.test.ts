import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { domainToASCII } from 'node:url'
import { parsePem, writePem } from '@everleaf/pki'
import { type Authority, createAuthority, issueLeaf } from '@everleaf/pki/issue'
import { longRsaKey } from '../support/long-key.ts'
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

/** Three authorities of one name in a circle, each signed three times by the one before it: 27 ways around, and a root at the end of none. */
async function crossed(): Promise<string> {
  const signers: Authority[] = []
  for (let n = 0; n < 3; n++) signers.push(await createAuthority({ name: 'Crossed', ...life }))
  const all: string[] = []
  for (const [n, { privateKey }] of signers.entries())
    for (let copy = 0; copy < 3; copy++)
      all.push((await issueLeaf({ authority: signers[(n + 1) % 3] as Authority, names: ['Crossed'], ...life, odd: { ca: true, privateKey } })).certificate)
  return (await issueLeaf({ authority: signers[0] as Authority, names: [HOST], ...life })).certificate + all.join('')
}

const encrypted = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'a pass phrase' },
}).privateKey
// As OpenSSL wrote encrypted keys before PKCS#8: what is encrypted stands in a header.
const encryptedBefore = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'sec1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'a pass phrase' },
}).privateKey
const cutOff = (pem: string) => writePem('PRIVATE KEY', (parsePem(pem).blocks?.[0]?.der ?? new Uint8Array()).subarray(0, 3000))

/** As long as the gate takes: the most that arithmetic on keys can cost. */
const longKey = longRsaKey(16_384)
const ofLongKey = (privateKey: string, issuer?: Authority) =>
  issueLeaf({ ...(issuer === undefined ? {} : { authority: issuer }), names: [HOST], ...life, algorithm: 'rsa', odd: { privateKey } })
const [long, longAlone] = [await ofLongKey(longKey, authority), await ofLongKey(longKey)]

/** The same with eight bits more, which OpenSSL makes no key of: every length around the modulus says so too. */
function longer(pem: string): string {
  const der = Buffer.from(parsePem(pem).blocks?.[0]?.der ?? [])
  // An INTEGER of 2,049 bytes, of which the first one is zero.
  const modulus = der.indexOf('0282080100', 0, 'hex')
  for (let at = 0; at <= modulus;) {
    const [tag = 0, length = 0] = [der[at], der.readUInt16BE(at + 2)]
    const isAround = der[at + 1] === 0x82 && at + 4 + length > modulus
    if (isAround) der.writeUInt16BE(length + 1, at + 2)
    // Into what is around it, over what comes before it.
    at += isAround ? (tag === 0x03 ? 5 : 4) : headed(der, at)
  }
  return writePem('CERTIFICATE', Buffer.concat([der.subarray(0, modulus + 5), Buffer.from([0x81]), der.subarray(modulus + 5)]))
}

/** How long the element there is, with its head. */
function headed(der: Buffer, at: number): number {
  const first = der[at + 1] ?? 0
  return first < 0x80 ? 2 + first : 2 + (first & 0x7f) + der.readUIntBE(at + 2, first & 0x7f)
}

/** The certificate with other bytes in its alternative name, as an authority might have been talked into signing. */
const withName = (name: string) => {
  const der = Buffer.from(parsePem(leaf.certificate).blocks?.[0]?.der ?? [])
  // The subject has the same name, and comes before it.
  der.write(name, der.lastIndexOf(HOST), 'utf8')
  return writePem('CERTIFICATE', der)
}
/** The host with a Cyrillic letter that looks like its first one. */
const ALIKE = 'ѕhop.example.com'
const alike = await issueLeaf({ authority, names: [domainToASCII(ALIKE)], ...life })

const at = (name: string) => join(folder, name)
const good = fileOf('good.pem', chain)
const CASES: readonly (readonly [what: string, code: string, words: readonly string[]])[] = [
  ['10 MB of white space', 'too-large', [fileOf('white.pem', ' \n'.repeat(5_000_000))]],
  ['10 MB of white space for a key', 'key-missing', [good, '--key', fileOf('white.key', ' \n'.repeat(5_000_000))]],
  ['10 MB of something for a key', 'too-large', [good, '--key', fileOf('big.key', 'x\n'.repeat(5_000_000))]],
  ['a thousand certificates', 'too-large', [fileOf('many.pem', leaf.certificate.repeat(1000))]],
  ['eleven certificates', 'too-many-certificates', [fileOf('eleven.pem', leaf.certificate.repeat(11))]],
  ['authorities that signed each other in a circle', 'untrusted', [fileOf('paths.pem', await crossed()), '--trust', fileOf('root.pem', root.certificate)]],
  ['a key of 16,384 bits that is cut off', 'unreadable-key', [good, '--key', fileOf('cut.key', cutOff(longKey))]],
  ['a key of 16,384 bits of another', 'key-mismatch', [good, '--key', fileOf('long.key', longKey)]],
  ['a certificate of 16,392 bits', 'oversized-key', [fileOf('longer.pem', longer(long.certificate) + authority.certificate)]],
  ['the same with the key of 16,384', 'oversized-key', [at('longer.pem'), '--key', at('long.key')]],
  ['NUL bytes', 'binary-junk', [fileOf('nul.pem', Buffer.alloc(80_000))]],
  ['a NUL byte in a certificate', 'binary-junk', [fileOf('nul-inside.pem', chain.replace('\n', '\n\0'))]],
  ['a NUL byte in a key', 'binary-junk', [good, '--key', fileOf('nul.key', leaf.privateKey.replace('\n', '\n\0'))]],
  ['a NUL byte that ends a host name early', 'unreadable-certificate', [fileOf('nul-name.pem', withName('shop.example\0') + authority.certificate)]],
  ['two leaves', 'unrelated-certificate', [fileOf('two.pem', leaf.certificate + other.certificate + authority.certificate)]],
  ['two leaves with the key of the second', 'unrelated-certificate', [at('two.pem'), '--key', fileOf('other.key', other.privateKey)]],
  ['two leaves in two files', 'unrelated-certificate', [good, fileOf('other.pem', other.certificate)]],
  ['a key among the certificates', 'key-in-certificate', [fileOf('key-inside.pem', chain + leaf.privateKey)]],
  ['a certificate for a key', 'unexpected-block', [good, '--key', good]],
  ['key and certificate the wrong way round', 'key-in-certificate', [fileOf('leaf.key', leaf.privateKey), '--key', good]],
  ['an encrypted key', 'encrypted-key', [good, '--key', fileOf('encrypted.key', encrypted)]],
  ['a key that is encrypted the old way', 'encrypted-key', [good, '--key', fileOf('encrypted-before.key', encryptedBefore)]],
  ['an encrypted key among the certificates', 'encrypted-key', [fileOf('encrypted-inside.pem', chain + encrypted)]],
  ['the key of another', 'key-mismatch', [good, '--key', at('other.key')]],
  ['a host in letters that look alike', 'host-not-covered', [good, '--host', ALIKE]],
  ['a certificate for a host in letters that look alike', 'host-not-covered', [fileOf('alike.pem', alike.certificate + authority.certificate), '--host', HOST]],
  ['letters outside of ASCII in a host name', 'unreadable-certificate', [fileOf('unicode-name.pem', withName('ѕho.example') + authority.certificate)]],
  ['a label in letters that look alike', 'bad-boundary', [fileOf('label.pem', chain.replaceAll('CERTIFICATE', 'СERTIFICATE'))]],
  ['dashes as word processors write them', 'no-pem', [fileOf('dashes.pem', chain.replaceAll('-----', '–––––'))]],
  ['an empty file', 'empty', [fileOf('empty.pem', '')]],
  ['binary DER', 'der-not-pem', [fileOf('leaf.der', Buffer.from(leaf.certificate.split('\n').slice(1, -2).join(''), 'base64'))]],
  ['a folder of roots that is a key', 'bad-trust', [good, '--trust', fileOf('trust.pem', leaf.privateKey)]],
]

const LIMIT_MS = 30_000
/** The limit is a second (benchmarks/certificate measures it); other tests run at the same time. */
const BUSY_MACHINE = 5

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

for (const [what, words] of [
  ['a certificate of 16,384 bits', [fileOf('long.pem', long.certificate + authority.certificate)]],
  ['the same with its key, which signs a handshake', [at('long.pem'), '--key', at('long.key')]],
  ['one that has signed itself with 16,384 bits', [fileOf('long-alone.pem', longAlone.certificate), '--key', at('long.key')]],
  ['the host whose letters look like another one, where the certificate is for it', [at('alike.pem'), '--host', ALIKE]],
] as const)
  test(`certificate check finds ${what} fit, in time`, async () => {
    const { status, stdout, stderr, tookMs } = await check([...words, '--json'])
    assert.equal(status, 0, stdout + stderr)
    assert.equal(JSON.parse(stdout).fit, true)
    assert.ok(tookMs < BUSY_MACHINE * 1000, `${tookMs} ms`)
  })

test('certificate check lets no name steer the terminal or turn its text around', async () => {
  const name = 'Shop\u001b[2J\u202egro.elpmaxe\u2066\u0007\u009b'
  const odd = await createAuthority({ name, ...life })
  const { stdout } = await check([fileOf('odd.pem', odd.certificate)])
  assert.match(stdout, /CN=Shop\?\[2J\?gro\.elpmaxe\?\?\?/)
  assert.doesNotMatch(stdout, /[\u001b\u202e\u2066\u0007\u009b]/)
})

test('certificate check answers a folder, a device of nothing and a name that is too long in words', async () => {
  for (const file of [folder, join(folder, 'x'.repeat(5000)), '']) assert.equal((await check([file])).status, 2, file.slice(0, 20))
  assert.equal((await check(['/dev/null'])).status, 1)
})
