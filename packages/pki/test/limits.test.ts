import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decide, parseImported, writePem } from '../src/index.ts'
import { altNames, createForge, extension, type Forged } from './forge.ts'

const now = new Date(performance.timeOrigin)
const HOST = 'shop.example.com'
const forge = createForge(now)
const root = forge.root('Root')
const authority = forge.authority('Authority', root)
const good = forge.leaf(HOST, authority)
/** Under the leaf and each other, down from the root: a chain of so many certificates in all. */
const chainOf = (certificates: number) => {
  let issuer = root
  const above: Forged[] = []
  for (let n = 1; n < certificates; n++) {
    issuer = forge.authority(`Authority ${n}`, issuer)
    above.unshift(issuer)
  }
  return { leaf: forge.leaf(HOST, issuer), chain: above.map(({ pem }) => pem).join('') }
}

const codesOf = (leaf: Forged, chain = authority.pem, texts: { certificate?: string; privateKey?: string } = {}) => {
  const { certificate = leaf.pem, privateKey = leaf.privateKey } = texts
  const verdict = decide({ bundle: { certificate, intermediate: chain }, privateKey, boundHosts: [HOST], accept: [], now })
  return verdict.accept ? [] : verdict.reasons.map(({ code }) => code)
}

/** A text with remarks before it, so that it has exactly so many bytes. */
const padded = (pem: string, bytes: number) => `${'r'.repeat(bytes - pem.length - 1)}\n${pem}`

/** A certificate of so many bytes of DER; an extension that nobody knows and that is not critical takes the room. */
function leafOf(derBytes: number): Forged {
  let room = derBytes
  // Signatures of ECDSA have a byte more or less each time.
  for (let tries = 0; tries < 100; tries++) {
    const made = forge.leaf(HOST, authority, { extensions: [altNames(HOST), extension('1.3.6.1.4.1.99999.1', Buffer.alloc(room))] })
    if (made.der.length === derBytes) return made
    room += derBytes - made.der.length
  }
  throw new Error(`no certificate of ${derBytes} bytes`)
}
/** Such a certificate with its issuer in one field: alone, its whole text counts. */
const codesOfLarge = (leaf: Forged) => codesOf(leaf, '', { certificate: leaf.pem + authority.pem })
/** PEM has 65 characters for 48 bytes. */
const MOST_DER = Math.floor((36_500 * 3 * 64) / (4 * 65))

for (const [what, at, above, code] of [
  [
    'a certificate with remarks of 36,500 bytes',
    () => codesOf(good, undefined, { certificate: padded(good.pem, 36_500) }),
    () => codesOf(good, undefined, { certificate: padded(good.pem, 36_501) }),
    'too-large',
  ],
  ['a certificate that is so large itself', () => codesOfLarge(leafOf(MOST_DER)), () => codesOfLarge(leafOf(MOST_DER + 1)), 'too-large'],
  [
    'a key of 36,500 bytes',
    () => codesOf(good, undefined, { privateKey: padded(good.privateKey, 36_500) }),
    () => codesOf(good, undefined, { privateKey: padded(good.privateKey, 36_501) }),
    'too-large',
  ],
  [
    'a chain of 95,000 bytes',
    () => codesOf(good, padded(authority.pem + root.pem, 95_000 - good.pem.length)),
    () => codesOf(good, padded(authority.pem + root.pem, 95_001 - good.pem.length)),
    'too-large',
  ],
  ...(['in one field', 'in two fields'] as const).map((where) => {
    const ask = (count: number) => {
      const { leaf, chain } = chainOf(count)
      return where === 'in two fields' ? codesOf(leaf, chain) : codesOf(leaf, '', { certificate: leaf.pem + chain })
    }
    return [`10 certificates ${where}`, () => ask(10), () => ask(11), 'too-many-certificates'] as const
  }),
] as const)
  test(`decide() takes ${what} and refuses one more`, () => {
    assert.deepEqual(at(), [])
    assert.deepEqual(above(), [code])
  })

test('parseImported() takes a field of 100,000 characters and refuses one more', () => {
  const ask = (characters: number) => parseImported({ certificate: padded(good.pem, characters), now })
  assert.equal(ask(100_000).ok, true)
  const over = ask(100_001)
  assert.equal(!over.ok && over.code, 'too-large')
})

test('the remarks of these tests are read as remarks', () => assert.deepEqual(codesOf(good, undefined, { certificate: `r\n${good.pem}` }), []))
test('writePem() has 65 characters for 48 bytes', () =>
  assert.equal(writePem('X', Buffer.alloc(480)).length - '-----BEGIN X-----\n-----END X-----\n'.length, 650))
