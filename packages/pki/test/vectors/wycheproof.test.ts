import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { verifies } from '../../src/verify.ts'
import { vectors } from './suites.ts'

type Suite = {
  readonly numberOfTests: number
  readonly testGroups: readonly {
    readonly publicKeyDer: string
    readonly tests: readonly { readonly tcId: number; readonly msg: string; readonly sig: string; readonly result: 'valid' | 'invalid' | 'acceptable' }[]
  }[]
}

/** Cases of the kind "acceptable", which may go either way, and what OpenSSL says. */
const ACCEPTABLE: Readonly<Record<string, Readonly<Record<number, boolean>>>> = { 'SHA256-RSA': { 8: false } }

// By the very function by which the gate sees that an issuer has signed a certificate.
for (const [name, file] of [
  ['ECDSA-SHA256', 'ecdsa_secp256r1_sha256_test.json'],
  ['ECDSA-SHA384', 'ecdsa_secp384r1_sha384_test.json'],
  ['Ed25519', 'ed25519_test.json'],
  ['SHA256-RSA', 'rsa_signature_2048_sha256_test.json'],
] as const) {
  const text = vectors(`wycheproof/${file}`)
  test(`the gate verifies ${name} as Wycheproof says in every case`, { skip: text === undefined && `no vectors: wycheproof/${file}` }, () => {
    const { testGroups, numberOfTests }: Suite = JSON.parse(text?.toString() ?? '')
    const wrong: number[] = []
    let cases = 0
    for (const { publicKeyDer, tests } of testGroups) {
      const key = createPublicKey({ key: Buffer.from(publicKeyDer, 'hex'), format: 'der', type: 'spki' })
      for (const { tcId, msg, sig, result } of tests) {
        cases++
        const found = verifies({ name, key, data: Buffer.from(msg, 'hex'), signature: Buffer.from(sig, 'hex') })
        if (found !== (result === 'acceptable' ? ACCEPTABLE[name]?.[tcId] : result === 'valid')) wrong.push(tcId)
      }
    }
    assert.deepEqual(wrong, [])
    assert.equal(cases, numberOfTests)
  })
}

test('a key of another kind than the signature has verified nothing, and a name that is not known is not answered', () => {
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }, format: 'jwk' })
  const [data, signature] = [Buffer.from('x'), Buffer.alloc(64)]
  assert.equal(verifies({ name: 'SHA256-RSA', key, data, signature }), false)
  assert.equal(verifies({ name: 'SHA256-RSAPSS', key, data, signature }), undefined)
  assert.equal(verifies({ name: 'constructor', key, data, signature }), undefined)
})
