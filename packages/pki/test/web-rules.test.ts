/* eslint no-template-curly-in-string: off -- the rules are quoted as they stand in the source */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { TAG, writeDer } from '../src/der.ts'
import { type Examination, examine, type ReasonCode } from '../src/index.ts'
import {
  altNames,
  basicConstraints,
  createForge,
  ecKey,
  extendedKeyUsage,
  extension,
  type Forgery,
  keyIdentifiers,
  keyUsage,
  permittedDns,
  rsaKey,
} from './forge.ts'

// Each rule of the web alone stands between its case and being accepted: the case is refused for it, and accepted by a gate without it.
const folder = mkdtempSync(join(tmpdir(), 'everleaf-rules-'))
after(() => rmSync(folder, { recursive: true }))
const SOURCE = join(import.meta.dirname, '../src')
const rules = readFileSync(join(SOURCE, 'web-rules.ts'), 'utf8')

const now = new Date(performance.timeOrigin)
const forge = createForge(now)
const HOST = 'shop.example.com'
const [SERVER_AUTH, ANY] = ['1.3.6.1.5.5.7.3.1', '2.5.29.37.0'] as const
const [rootKey, authorityKey, leafKey] = [ecKey(), ecKey(), ecKey()]
const [rootId] = keyIdentifiers(rootKey, rootKey) as [Buffer, Buffer]
const [authorityId, authorityAki] = keyIdentifiers(authorityKey, rootKey) as [Buffer, Buffer]
const [leafId, leafAki] = keyIdentifiers(leafKey, authorityKey) as [Buffer, Buffer]
const serverAuth = extendedKeyUsage(SERVER_AUTH)
const strangerAki = keyIdentifiers(rootKey, leafKey)[1] as Buffer

interface Odd {
  readonly root?: readonly Buffer[]
  readonly authority?: readonly Buffer[]
  readonly authorityName?: string
  readonly leaf?: readonly Buffer[]
  readonly more?: Forgery
}

/** A bundle that is flawless for the web, but for what is odd. */
function bundle(odd: Odd = {}): Examination {
  const root = forge.root('Root', { key: rootKey, extensions: odd.root ?? [basicConstraints(true), rootId] })
  const authority = forge.authority(odd.authorityName ?? 'Authority', root, {
    key: authorityKey,
    extensions: odd.authority ?? [basicConstraints(true), authorityId, authorityAki],
  })
  const leaf = forge.leaf(HOST, authority, { key: leafKey, extensions: odd.leaf ?? [altNames(HOST), serverAuth, leafId, leafAki], ...odd.more })
  return { bundle: { certificate: leaf.pem, intermediate: authority.pem }, boundHosts: [HOST], accept: [], trust: { roots: root.pem }, rules: 'web', now }
}

const critical = (id: string, value: Uint8Array) => extension(id, value, { critical: true })
const keyId = (key: { publicKey: import('node:crypto').KeyObject }) => keyIdentifiers(key as never, key as never)[0]?.subarray(-22) ?? Buffer.alloc(0)
const names = writeDer(TAG.sequence, writeDer(0x82, Buffer.from(HOST)))
const info = (content: Buffer) => writeDer(TAG.sequence, content)
const rest = [serverAuth, leafId, leafAki]
const oddRsa = rsaKey(2052)

/** A rule, what it is in the source, what stands there when it is disabled, and the bundle that it alone refuses. */
const CASES: readonly (readonly [rule: string, code: ReasonCode, source: string, disabled: string, odd: Odd])[] = [
  [
    'an authority names its key',
    'key-identifier',
    "if (place !== 'leaf' && subjectKeyId === undefined) return fault('An authority names no key of its own.')",
    '',
    { authority: [basicConstraints(true), authorityAki] },
  ],
  [
    'a leaf names the key of its issuer',
    'key-identifier',
    `return place === 'root' ? [] : fault("It does not name its issuer's key.")`,
    'return []',
    { leaf: [altNames(HOST), serverAuth, leafId] },
  ],
  [
    '… by an identifier',
    'key-identifier',
    `if (authorityKeyId === undefined) return fault("It does not name its issuer's key by an identifier.")`,
    '',
    { leaf: [altNames(HOST), serverAuth, leafId, extension('2.5.29.35', writeDer(TAG.sequence))] },
  ],
  [
    'a root names its key by nothing else',
    'key-identifier',
    "if (children(readDer(given.value)).length > 1) return fault('A root names its issuer by more than a key identifier.')",
    '',
    {
      root: [
        basicConstraints(true),
        rootId,
        extension('2.5.29.35', writeDer(TAG.sequence, writeDer(0x80, keyId(rootKey).subarray(-20)), writeDer(0x82, Buffer.from([1])))),
      ],
    },
  ],
  [
    'a root names its own key',
    'key-identifier',
    "return authorityKeyId === subjectKeyId ? [] : fault('A root names the key of another one as that of its issuer.')",
    'return []',
    { root: [basicConstraints(true), rootId, strangerAki] },
  ],
  [
    'the subject key identifier is not critical',
    'criticality',
    "[IDS.subjectKeyId, 'subject key identifier', false],",
    '',
    { leaf: [altNames(HOST), serverAuth, critical('2.5.29.14', keyId(leafKey)), leafAki] },
  ],
  [
    'the authority key identifier is not critical',
    'criticality',
    "[IDS.authorityKeyId, 'authority key identifier', false],",
    '',
    { leaf: [altNames(HOST), serverAuth, leafId, critical('2.5.29.35', writeDer(TAG.sequence, writeDer(0x80, keyId(authorityKey).subarray(-20))))] },
  ],
  [
    'policy constraints are critical',
    'criticality',
    "[IDS.policyConstraints, 'policy constraints', true],",
    '',
    { authority: [basicConstraints(true), authorityId, authorityAki, extension('2.5.29.36', writeDer(TAG.sequence, writeDer(0x80, Buffer.from([1]))))] },
  ],
  [
    'the extended key usage is not critical',
    'criticality',
    "[IDS.extendedKeyUsage, 'extended key usage', false],",
    '',
    { leaf: [altNames(HOST), critical('2.5.29.37', writeDer(TAG.sequence, writeDer(TAG.oid, Buffer.from('2b06010505070301', 'hex')))), leafId, leafAki] },
  ],
  [
    'alternative names beside a subject are not critical',
    'criticality',
    "[[IDS.altNames, 'subject alternative name', !named] as const]",
    '[]',
    { leaf: [critical('2.5.29.17', names), ...rest] },
  ],
  [
    'the basic constraints of an authority are critical',
    'criticality',
    "[[IDS.basicConstraints, 'basic constraints', true] as const]",
    '[]',
    { authority: [extension('2.5.29.19', writeDer(TAG.sequence, writeDer(TAG.boolean, Buffer.from([0xff])))), authorityId, authorityAki] },
  ],
  ['an authority has a name', 'nameless-authority', "[reason('nameless-authority')]", '[]', { authorityName: '' }],
  [
    'an alternative name is a host name',
    'bad-alternative-name',
    "[reason('bad-alternative-name', `It is ${malformed.slice(0, 3).join(', ')}.`)]",
    '[]',
    { leaf: [altNames(HOST, 'under_score.example.com'), ...rest] },
  ],
  [
    'the common name is one of the names',
    'common-name',
    "return [...faults, reason('common-name', `It is ${commonName}.`)]",
    'return faults',
    { more: { subject: 'other.example.org' } },
  ],
  [
    'a leaf says that it is for servers',
    'web-extended-key-usage',
    "faults.push(reason('web-extended-key-usage', 'There is none.'))",
    '{}',
    { leaf: [altNames(HOST), leafId, leafAki] },
  ],
  [
    '… and not for anything',
    'web-extended-key-usage',
    "faults.push(reason('web-extended-key-usage', 'It allows anything.'))",
    '{}',
    { leaf: [altNames(HOST), extendedKeyUsage(SERVER_AUTH, ANY), leafId, leafAki] },
  ],
  [
    'a root says nothing of its use',
    'web-extended-key-usage',
    "[reason('web-extended-key-usage', 'A root has none.')]",
    '[]',
    { root: [basicConstraints(true), rootId, serverAuth] },
  ],
  [
    'a leaf signs no certificates',
    'leaf-key-usage',
    "faults.push(reason('leaf-key-usage', 'And a server certificate must not allow keyCertSign.'))",
    '{}',
    { leaf: [altNames(HOST), keyUsage(0x84), ...rest] },
  ],
  [
    'a leaf constrains no names',
    'bad-name-constraint',
    "return [reason('bad-name-constraint', 'Only an authority may have any.')]",
    'return []',
    { leaf: [altNames(HOST), permittedDns('example.com'), ...rest] },
  ],
  [
    'a constraint has no period before it',
    'bad-name-constraint',
    "[reason('bad-name-constraint', `It is ${dotted.value}: a host name has no period before it.`)]",
    '[]',
    { authority: [basicConstraints(true), authorityId, authorityAki, permittedDns('.example.com')] },
  ],
  ['an RSA key has whole bytes', 'odd-rsa-size', "[reason('odd-rsa-size', `It has ${publicKey.bits} bits.`)]", '[]', { more: { key: oddRsa } }],
  [
    'the authority information is well-formed',
    'bad-authority-information',
    "[...faults, reason('bad-authority-information')]",
    'faults',
    { leaf: [altNames(HOST), ...rest, extension('1.3.6.1.5.5.7.1.1', info(writeDer(TAG.sequence)))] },
  ],
]

test('the bundle that the cases below make odd is flawless for the web', () => {
  const verdict = examine(bundle())
  assert.deepEqual(verdict.accept ? [] : verdict.reasons, [])
})

for (const [n, [rule, code, source, disabled, odd]] of CASES.entries())
  test(`rules of the web: ${rule}; without that rule its case is accepted`, async () => {
    const question = bundle(odd)
    const verdict = examine(question)
    const codes = verdict.accept ? [] : [...new Set(verdict.reasons.map((reason) => reason.code))]
    // Where a root falls, nothing is left to trust.
    assert.deepEqual(codes, odd.root === undefined ? [code] : [code, 'untrusted'])
    assert.equal(rules.split(source).length, 2, 'the rule is in the source once')
    const copy = join(folder, String(n))
    cpSync(SOURCE, copy, { recursive: true })
    writeFileSync(
      join(copy, 'web-rules.ts'),
      rules.replace(source, () => disabled),
    )
    const mutated: { examine: typeof examine } = await import(join(copy, 'gate.ts'))
    const without = mutated.examine(question)
    assert.deepEqual(without.accept ? [] : without.reasons, [])
  })

test('every reason of the rules has its case', () => {
  const codes = [...rules.matchAll(/reason\('([a-z-]+)'/g)].map(([, code]) => code)
  assert.deepEqual([...new Set(codes)].sort(), [...new Set(CASES.map(([, code]) => code as string))].sort())
})
