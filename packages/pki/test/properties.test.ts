import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { children, DerError, oid, readDer, TAG, time, writeDer } from '../src/der.ts'
import { covers, examine, parsePem, readCertificate, writePem } from '../src/index.ts'
import { createForge, oid as writeOid } from './forge.ts'

/** Ten thousand cases each; a million with EVERLEAF_LONG_TESTS=1. */
const numRuns = process.env.EVERLEAF_LONG_TESTS === '1' ? 1_000_000 : 10_000
const holds = (name: string, property: fc.IRawProperty<unknown>) => test(name, () => void fc.assert(property, { numRuns }))

const now = new Date(performance.timeOrigin)
const forge = createForge(now)
const root = forge.root('Root')
const { der, pem } = forge.leaf('shop.example.com', root)

function orDerError<Found>(read: () => Found): Found | undefined {
  try {
    return read()
  } catch (error) {
    assert.ok(error instanceof DerError, String(error))
    return undefined
  }
}

// PEM
holds(
  'parsePem() gives back what writePem() wrote, with either line break and with text around it',
  fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.constantFrom('\n', '\r\n'), fc.constantFrom('', 'subject=x'), (bytes, line, before) => {
    const text = `${before}${line}${writePem('CERTIFICATE', bytes).replaceAll('\n', line)}`
    assert.deepEqual(
      parsePem(text).blocks?.map((block) => [...block.der]),
      [[...bytes]],
    )
  }),
)
holds(
  'parsePem() answers any text with blocks or with a fault',
  fc.property(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.constantFrom('-----BEGIN X-----', '-----END X-----', 'AAAA', '\n', '-', ' ', '\\n')).map((parts) => parts.join('')),
    ),
    (text) => {
      const { blocks, fault } = parsePem(text)
      assert.equal((blocks === undefined) !== (fault === undefined), true)
    },
  ),
)

// DER
// Lengths of several bytes, mostly in a form that is not minimal: by chance alone they are too rare.
const longForm = fc
  .tuple(fc.integer({ min: 0, max: 3 }), fc.uint8Array({ maxLength: 200 }))
  .map(([zeros, content]) => Uint8Array.from([0x04, 0x81 + zeros, ...Array<number>(zeros).fill(0), content.length, ...content]))
holds(
  'readDer() gives back what writeDer() wrote',
  fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), (contents) => {
    const parts = contents.map((content) => writeDer(TAG.octetString, content))
    const read = children(readDer(writeDer(TAG.sequence, ...parts), TAG.sequence))
    assert.deepEqual(
      read.map(({ content }) => [...content]),
      contents.map((content) => [...content]),
    )
  }),
)
holds(
  'what readDer() reads of any bytes is the same bytes when it is written again',
  fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), longForm), (bytes) => {
    const element = orDerError(() => readDer(bytes))
    if (element !== undefined) assert.deepEqual([...writeDer(element.tag, element.content)], [...bytes])
  }),
)
holds(
  'oid() gives back every identifier',
  fc.property(fc.integer({ min: 0, max: 1 }), fc.integer({ min: 0, max: 39 }), fc.array(fc.nat(), { maxLength: 6 }), (first, second, rest) => {
    const dotted = [first, second, ...rest].join('.')
    assert.equal(oid(readDer(writeOid(dotted))), dotted)
  }),
)
holds(
  'time() gives back every second of the calendar that a GeneralizedTime can hold',
  fc.property(fc.integer({ min: Date.UTC(1950, 0) / 1000, max: Date.UTC(9999, 11, 31) / 1000 }), (seconds) => {
    const text = new Date(seconds * 1000).toISOString().replaceAll(/[-:T]|\.\d+/g, '')
    assert.equal(time(readDer(writeDer(TAG.generalizedTime, Buffer.from(text)))).getTime(), seconds * 1000)
  }),
)
holds(
  'readCertificate() reads a certificate with one byte changed, or throws DerError',
  fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
    const broken = Uint8Array.from(der)
    broken[at] = (broken[at] ?? 0) ^ change
    orDerError(() => readCertificate(broken))
  }),
)

// names
const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/).filter((text) => !text.startsWith('xn--'))
const host = fc.array(label, { minLength: 3, maxLength: 5 })
holds(
  'a wildcard covers one label more than it says, and never two or none',
  fc.property(host, label, label, (labels, one, two) => {
    const base = `${labels.join('.')}.example`
    const names = { dnsNames: [`*.${base}`], ipAddresses: [] }
    assert.deepEqual([covers(names, `${one}.${base}`), covers(names, `${two}.${one}.${base}`), covers(names, base)], [true, false, false])
  }),
)
holds(
  'a host is covered in any case and with a final dot, and by no other name',
  fc.property(host, label, (labels, other) => {
    const name = `${labels.join('.')}.example`
    const names = { dnsNames: [name], ipAddresses: [] }
    assert.deepEqual([covers(names, name.toUpperCase()), covers(names, `${name}.`), covers(names, `${other}.${name}`)], [true, true, false])
  }),
)
holds(
  'covers() answers for any host and any name, and a look-alike in other characters covers nothing',
  fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (name, asked) => {
    assert.equal(typeof covers({ dnsNames: [name], ipAddresses: [] }, asked), 'boolean')
    assert.equal(covers({ dnsNames: ['shop.example.com'], ipAddresses: [] }, 'ѕhop.example.com'), false)
  }),
)

// the gate as a whole, on what an honest file becomes
const ofFile = (text: string) => examine({ bundle: { certificate: text }, boundHosts: ['shop.example.com'], accept: [], trust: { roots: root.pem }, now })
test('examine() accepts the file that the next property changes', () => assert.equal(ofFile(pem).accept, true))
holds(
  'examine() never accepts a file in which a character was changed, nor throws',
  fc.property(fc.integer({ min: 40, max: pem.length - 40 }), fc.constantFrom('A', '!', '\0', '=', '-', 'é'), (at, character) => {
    if (pem[at] === character || pem[at] === '\n') return
    const text = pem.slice(0, at) + character + pem.slice(at + 1)
    assert.equal(ofFile(text).accept, false)
  }),
)

/** At most a second for the worst that can be given. */
function answersInTime(what: string, text: () => string): void {
  test(`examine() refuses ${what} within a second`, () => {
    const certificate = text()
    const began = performance.now()
    const verdict = examine({ bundle: { certificate }, privateKey: certificate, boundHosts: ['shop.example.com'], accept: [], now })
    const tookMs = performance.now() - began
    assert.equal(verdict.accept, false)
    assert.ok(tookMs < 1000, `${tookMs} ms`)
  })
}
answersInTime('10 MB of white space', () => ' \n'.repeat(5_000_000))
answersInTime('a thousand certificates', () => pem.repeat(1000))
answersInTime('NUL bytes', () => '\0'.repeat(90_000))
answersInTime('90 KB of BEGIN lines', () => '-----BEGIN CERTIFICATE-----\n'.repeat(3200))
answersInTime('90 KB of dashes', () => '-'.repeat(90_000))
