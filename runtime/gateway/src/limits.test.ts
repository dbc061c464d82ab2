import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from './limits.ts'

/** The tests of each limit mostly set it lower, so that they need not wait or send so much: what holds without a setting is looked at here. */
test('what one client may take, where nobody sets anything else', () => {
  const { headerBytes, headerCount, urlBytes, headersTimeoutMs, keepAliveMs, bodyIdleMs, requestsPerConnection, connections, connectionsPerAddress } =
    DEFAULT_LIMITS
  assert.deepEqual([headerBytes, headerCount, urlBytes], [16_384, 100, 8_192])
  assert.deepEqual([headersTimeoutMs, keepAliveMs, bodyIdleMs], [10_000, 60_000, 60_000])
  assert.deepEqual([requestsPerConnection, connections, connectionsPerAddress], [10_000, 10_000, 256])
})
