import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parsePem, writePem } from './pem.ts'
import { REASONS } from './reasons.ts'

const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 })
const label = fc.constantFrom('CERTIFICATE', 'PRIVATE KEY', 'X509 CRL')
const lineBreak = fc.constantFrom('\n', '\r\n')
const remark = fc.stringMatching(/^[A-Za-z0-9 =:äß]{0,40}$/)

test('parsePem() reads back whatever writePem() wrote, with any line breaks, remarks, indentation and byte order mark', () => {
  const blocks = fc.array(fc.record({ label, der: bytes, remark }), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(blocks, lineBreak, fc.constantFrom('', '\ufeff'), fc.constantFrom('', '  ', '\t'), fc.boolean(), (given, lineEnd, mark, indent, final) => {
      const lines = given.flatMap((block) => [block.remark, ...writePem(block.label, block.der).trimEnd().split('\n')])
      const text = mark + lines.map((line) => indent + line).join(lineEnd) + (final ? lineEnd : '')
      const read = parsePem(text).blocks?.map((block) => ({ label: block.label, der: Buffer.from(block.der).toString('hex') }))
      assert.deepEqual(
        read,
        given.map((block) => ({ label: block.label, der: Buffer.from(block.der).toString('hex') })),
      )
    }),
  )
})

test('parsePem() answers any text with blocks or one of the known reasons', () => {
  const piece = fc.oneof(fc.string(), fc.constantFrom('-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----', '\n', '\\n', 'AAAA', '\0', '-----BEGIN '))
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const { blocks, fault } = parsePem(pieces.join(''))
      assert.ok(fault === undefined ? blocks.length > 0 : fault.code in REASONS && fault.line >= 1)
    }),
  )
})

test('parsePem() reads a mebibyte of white space, or of dashes, without going back over it', () => {
  // Quadratic work on this would take minutes, and the runner would stop it.
  for (const text of [' ', '\n', '\r', '-', 'A', '\t-', '-----BEGIN ', '=']) {
    const { fault } = parsePem(text.repeat(2 ** 20 / text.length))
    assert.ok(fault !== undefined)
  }
})

test('parsePem() tells the line of the fault', () => {
  assert.deepEqual(parsePem('one\ntwo\n-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n').fault, { code: 'bad-base64', line: 3 })
})

test('parsePem() refuses a second spelling of the same bytes', () => {
  assert.equal(parsePem('-----BEGIN CERTIFICATE-----\nMAB=\n-----END CERTIFICATE-----\n').fault?.code, 'bad-base64')
})

test('parsePem() recognises DER in bytes', () => assert.equal(parsePem(new Uint8Array([0x30, 0x82, 1, 1])).fault?.code, 'der-not-pem'))
