import assert from 'node:assert/strict'
import { createPublicKey, type webcrypto } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Algorithm, verifyJws } from '../src/jwt.ts'

type Group = {
  readonly public?: webcrypto.JsonWebKey & { readonly alg?: string; readonly kid?: string }
  readonly comment: string
  readonly tests: readonly Case[]
}
type Case = { readonly tcId: number; readonly comment: string; readonly jws: unknown; readonly result: 'valid' | 'invalid' | 'acceptable' }

const folder = process.env.EVERLEAF_VECTORS ?? join(import.meta.dirname, '../../../../shared/vectors')
const file = join(folder, 'wycheproof/json_web_signature_test.json')
const isOurs = (alg: string | undefined): alg is Algorithm => alg === 'RS256' || alg === 'ES256'

test('Wycheproof: no forged RS256 or ES256 signature is taken, and every plain valid one is', (t) => {
  if (!existsSync(file)) {
    const reason = 'vectors: Wycheproof for JSON web signatures (set EVERLEAF_VECTORS to their folder)'
    if (process.env.EVERLEAF_COULD_NOT_RUN) appendFileSync(process.env.EVERLEAF_COULD_NOT_RUN, `${reason}\n`)
    return t.skip(reason)
  }
  const groups = (JSON.parse(readFileSync(file, 'utf8')) as { testGroups: readonly Group[] }).testGroups
  let [refused, taken] = [0, 0]
  for (const { public: jwk, tests, comment } of groups) {
    if (jwk === undefined || !isOurs(jwk.alg)) continue
    const key = { kid: jwk.kid ?? '', algorithm: jwk.alg, publicKey: createPublicKey({ key: jwk, format: 'jwk' }) }
    for (const { tcId, jws, result } of tests) {
      if (typeof jws !== 'string') continue
      const good = verifyJws(jws, (kid) => (kid === key.kid ? key : undefined)) !== undefined
      if (result === 'invalid') assert.equal(good, false, `${comment} ${tcId} was taken`)
      if (result === 'invalid') refused++
      else if (good) taken++
      else if (hasPlainHeader(jws, key.kid)) assert.fail(`${comment} ${tcId} was refused`)
    }
  }
  assert.ok(refused > 100 && taken > 3, `${refused} refused, ${taken} taken`)
})

/** A valid case that a token of ours could be: canonical parts, our kid, no extension. */
function hasPlainHeader(jws: string, kid: string): boolean {
  const head = Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString('utf8')
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(jws) && jws.length <= 8192 && head.includes(`"${kid}"`) && !head.includes('b64') && !head.includes('crit')
}
