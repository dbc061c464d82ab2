import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusalOfUrl } from './destination-url.ts'

for (const [url, refused] of [
  ['https://app.example.com/', undefined],
  ['https://app.private.everleaf.localhost:8444/x?y=1', undefined],
  ['http://app.example.com/', /https/],
  ['http://127.0.0.1:9/', /https/],
  ['ftp://app.example.com/', /https/],
  ['file:///etc/passwd', /https/],
  ['https://user:secret@app.example.com/', /user name or password/],
  ['https://169.254.169.254/latest', /metadata/],
  ['https://[fe80::1]/', /link-local/],
  ['https://[fe80::1%25eth0]/', /not a URL/],
  ['https://0xa9fea9fe/', /metadata/],
  ['nonsense', /not a URL/],
] as const) {
  test(`refusalOfUrl() on ${url}`, () => {
    const reason = refusalOfUrl(url, {})
    if (refused === undefined) assert.equal(reason, undefined)
    else assert.match(reason ?? '', refused)
  })
}

test('refusalOfUrl() takes plain HTTP to loopback only, and only by setting', () => {
  assert.equal(refusalOfUrl('http://127.0.0.1:9/', { plainHttpToLoopback: true }), undefined)
  assert.equal(refusalOfUrl('http://app.everleaf.localhost/', { plainHttpToLoopback: true }), undefined)
  assert.match(refusalOfUrl('http://app.example.com/', { plainHttpToLoopback: true }) ?? '', /https/)
})
