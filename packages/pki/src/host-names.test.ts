import assert from 'node:assert/strict'
import { test } from 'node:test'
import { covers } from './host-names.ts'

const names = (...dnsNames: readonly string[]) => ({ dnsNames, ipAddresses: ['127.0.0.1', '::1', '2001:db8::1'] })

for (const [pattern, host, covered] of [
  ['example.com', 'example.com', true],
  ['EXAMPLE.com', 'example.COM.', true],
  ['example.com', 'www.example.com', false],
  ['*.example.com', 'www.example.com', true],
  ['*.example.com', 'example.com', false],
  ['*.example.com', 'a.b.example.com', false],
  ['w*.example.com', 'www.example.com', false],
  ['www.*.com', 'www.example.com', false],
  ['*', 'localhost', false],
  ['*.com', 'example.com', false],
  ['*.example.com', '*.example.com', true],
  ['www.example.com', '*.example.com', false],
  ['*.example.com', '.example.com', false],
  ['xn--bcher-kva.example', 'bücher.example', true],
  ['*.xn--bcher-kva.example', 'www.Bücher.example', true],
  ['127.0.0.1', '127.0.0.2', false],
  ['', '', false],
  ['*.bücher.example', 'www.bücher.example', false],
] as const)
  test(`covers() says ${covered} for ${pattern} and the host ${host}`, () => assert.equal(covers(names(pattern), host), covered))

for (const [host, covered] of [
  ['127.0.0.1', true],
  ['127.0.0.2', false],
  ['[::1]', true],
  ['0:0:0:0:0:0:0:1', true],
  ['2001:0DB8::0001', true],
  ['fe80::1%eth0', false],
] as const)
  test(`covers() says ${covered} for the address ${host}`, () => assert.equal(covers(names(), host), covered))

test('covers() does not take a DNS name that looks like an address for one', () =>
  assert.equal(covers({ dnsNames: ['127.0.0.1'], ipAddresses: [] }, '127.0.0.1'), false))
