import assert from 'node:assert/strict'
import { test } from 'node:test'
import { classify, hostOf, isAllowed, type Kind, parseCidr } from './addresses.ts'

const kinds: readonly (readonly [string, Kind])[] = [
  ['93.184.216.34', 'public'],
  ['127.0.0.1', 'loopback'],
  ['127.255.255.255', 'loopback'],
  ['0.0.0.0', 'reserved'],
  ['10.1.2.3', 'private'],
  ['172.16.0.1', 'private'],
  ['172.32.0.1', 'public'],
  ['192.168.1.1', 'private'],
  ['100.64.0.1', 'private'],
  ['169.254.1.1', 'link-local'],
  ['169.254.169.254', 'metadata'],
  ['100.100.100.200', 'metadata'],
  ['168.63.129.16', 'metadata'],
  ['224.0.0.1', 'reserved'],
  ['255.255.255.255', 'reserved'],
  ['198.18.0.1', 'reserved'],
  ['::1', 'loopback'],
  ['::', 'reserved'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['::ffff:a9fe:a9fe', 'metadata'],
  ['::ffff:93.184.216.34', 'public'],
  ['::127.0.0.1', 'loopback'],
  ['::10.0.0.1', 'private'],
  ['64:ff9b::7f00:1', 'loopback'],
  ['64:ff9b::a9fe:a9fe', 'metadata'],
  ['64:ff9b::5db8:d822', 'public'],
  ['64:ff9b:1::1', 'reserved'],
  ['2002:7f00:1::', 'loopback'],
  ['2002:a9fe:a9fe::1', 'metadata'],
  ['2002:5db8:d822::1', 'public'],
  ['2001:0:53aa:64c::1', 'reserved'],
  ['2001:db8::1', 'reserved'],
  ['fc00::1', 'private'],
  ['fd12:3456::1', 'private'],
  ['fd00:ec2::254', 'metadata'],
  ['fe80::1', 'link-local'],
  ['fe80::1%eth0', 'reserved'],
  ['fec0::1', 'private'],
  ['ff02::1', 'reserved'],
  ['2606:2800:220:1:248:1893:25c8:1946', 'public'],
  ['4000::1', 'reserved'],
  ['not an address', 'reserved'],
]
for (const [address, kind] of kinds) test(`classify() says ${kind} for ${address}`, () => assert.equal(classify(address), kind))

test('isAllowed() opens what the operator lists, in mapped spelling too, and never link-local or metadata addresses', () => {
  const all = [parseCidr('0.0.0.0/0'), parseCidr('::/0')]
  const loopback = [parseCidr('127.0.0.0/8')]
  assert.ok(isAllowed('127.0.0.1', loopback))
  assert.ok(isAllowed('::ffff:127.0.0.1', loopback))
  assert.ok(!isAllowed('10.0.0.1', loopback))
  assert.ok(!isAllowed('127.0.0.1', []))
  for (const address of ['169.254.169.254', 'fe80::1', '::ffff:169.254.169.254', '2002:a9fe:a9fe::1', '100.100.100.200', 'fd00:ec2::254'])
    assert.ok(!isAllowed(address, all), address)
})

// Every spelling of one address is the same host once the URL parser has read it.
for (const host of [
  '127.1',
  '2130706433',
  '0x7f000001',
  '0177.0.0.1',
  '127.0.0.1.',
  '１２７.０.０.１',
  '①②⑦.0.0.1',
  '127。0。0。1',
  '[::ffff:127.0.0.1]',
  '[::1]',
]) {
  test(`hostOf() and classify() see through ${host}`, () => assert.equal(classify(hostOf(new URL(`https://${host}/`).hostname)), 'loopback'))
}
