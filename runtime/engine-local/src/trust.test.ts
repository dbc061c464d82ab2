import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { rootCertificates } from 'node:tls'
import { javaStore } from './trust.ts'

test('javaStore() holds each certificate as it is, and ends with the digest that Java checks', () => {
  const two = rootCertificates.slice(0, 2)
  const store = javaStore(two.join('\n'))
  assert.deepEqual([store.readUInt32BE(0), store.readUInt32BE(4), store.readUInt32BE(8)], [0xfeedfeed, 2, 2])
  for (const pem of two) assert.ok(store.includes(new X509Certificate(pem).raw))
  const digest = createHash('sha1').update(Buffer.from('\0c\0h\0a\0n\0g\0e\0i\0t')).update('Mighty Aphrodite').update(store.subarray(0, -20)).digest()
  assert.deepEqual(store.subarray(-20), digest)
})
