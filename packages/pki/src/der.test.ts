import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { children, DerError, oid, readDer, smallInteger, TAG, time, writeDer } from './der.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

test('readDer() reads back whatever writeDer() wrote', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000 }), (content) => {
      assert.deepEqual(Buffer.from(readDer(writeDer(TAG.octetString, content)).content), Buffer.from(content))
    }),
  )
})

for (const [what, bytes] of [
  ['nothing', ''],
  ['a cut length', '30 82 01'],
  ['a cut content', '30 03 02 01'],
  ['an indefinite length', '30 80 00 00'],
  ['a length with a leading zero', '30 82 00 01 00'],
  ['a long form for a short length', '30 81 01 00'],
  ['a tag of several bytes', '3f 81 01 00'],
  ['bytes after the end', '30 00 00'],
] as const)
  test(`readDer() refuses ${what}`, () => assert.throws(() => readDer(hex(bytes)), DerError))

test('children() refuses a part that sticks out of its parent', () => assert.throws(() => children(readDer(hex('30 03 02 02 01'))), DerError))

test('smallInteger() refuses a number that is not minimal', () => assert.throws(() => smallInteger(readDer(hex('02 02 00 01'))), DerError))

test('oid() reads the three roots and large arcs', () => {
  assert.equal(oid(readDer(hex('06 03 55 04 03'))), '2.5.4.3')
  assert.equal(oid(readDer(hex('06 06 2a 86 48 86 f7 0d'))), '1.2.840.113549')
  assert.equal(oid(readDer(hex('06 03 88 37 03'))), '2.999.3')
})

test('time() reads both forms', () => {
  assert.equal(time(writeAndRead(TAG.utcTime, '491231235959Z')).toISOString(), '2049-12-31T23:59:59.000Z')
  assert.equal(time(writeAndRead(TAG.utcTime, '500101000000Z')).toISOString(), '1950-01-01T00:00:00.000Z')
  assert.equal(time(writeAndRead(TAG.generalizedTime, '20500101000000Z')).toISOString(), '2050-01-01T00:00:00.000Z')
})

for (const wrong of ['260231000000Z', '261301000000Z', '260101240000Z', '2601010000Z', '260101000000+0000'])
  test(`time() refuses ${wrong}`, () => assert.throws(() => time(writeAndRead(TAG.utcTime, wrong)), DerError))

function writeAndRead(tag: number, text: string) {
  return readDer(writeDer(tag, Buffer.from(text)))
}
