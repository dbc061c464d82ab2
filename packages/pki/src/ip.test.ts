import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { ipBytes } from './ip.ts'
import { ipText } from './names.ts'

test('ipBytes() reads every address that ipText() writes', () => {
  const address = fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  fc.assert(fc.property(address, (bytes) => assert.deepEqual(ipBytes(ipText(bytes)), bytes)))
})

for (const text of ['1.2.3', '1.2.3.4.', '1.2.3.4.5', '01.2.3.4', '256.1.1.1', '1.2.3.a', '', '::1%lo', ':::', 'example.com', '1:2:3:4:5:6:7', '0x7f.0.0.1'])
  test(`ipBytes() finds no address in '${text}'`, () => assert.equal(ipBytes(text), undefined))

for (const text of ['0.0.0.0', '255.255.255.255', '199.200.249.250', '::ffff:1.2.3.4', 'FE80::1', '1::', '::', '1:2:3:4:5:6:7:8'])
  test(`ipBytes() finds an address in '${text}', as node:net does`, () => assert.equal(ipBytes(text)?.length, isIP(text) === 4 ? 4 : 16))

test('ipBytes() finds an address exactly where node:net does', () => {
  const word = fc.constantFrom('0', '1', 'ffff', 'A0', '00001', 'g', '1.2.3.4', '1.2.3', '', ':', '::', '%lo')
  const text = fc.oneof(
    fc.array(word, { maxLength: 9 }).map((words) => words.join(':')),
    fc.ipV6(),
    fc.ipV4(),
    fc.ipV4Extended(),
  )
  fc.assert(
    fc.property(text, (address) => assert.equal(ipBytes(address) !== undefined, isIP(address) !== 0 && !address.includes('%'))),
    { numRuns: 2000 },
  )
})
