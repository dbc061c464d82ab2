import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventFrom, pipeline, startRoom } from './platform.ts'

test('an event travels from the sender to the destination, whole and with notification_id', async () => {
  const sent: { url: string; body: unknown; headers: unknown; method: string }[] = []
  const http = {
    request: async (request: { url: string; body?: string | Uint8Array; headers?: unknown; method: string }) => {
      sent.push({ url: request.url, body: request.body, headers: request.headers, method: request.method })
      return { status: 201, headers: {}, body: new Uint8Array() }
    },
    close: () => {},
  }
  const room = await startRoom({ http })
  const { source } = await pipeline(room, {
    url: 'https://app.example.com/hook',
    params: { custom_headers: { 'X-Token': 'canary-secret', 'X-Open': 'seen' }, sensitive_headers: ['X-Token'] },
  })
  const reply = await room.call('POST', '/notifications', { json: eventFrom(source, { extra: 1.5 }) })
  assert.equal(reply.statusCode, 202, reply.body)
  const id = reply.json().notification_id
  assert.equal(await room.runner.runOnce(), 1)
  assert.equal(sent[0]?.url, 'https://app.example.com/hook')
  assert.deepEqual(JSON.parse(String(sent[0]?.body)), { ...eventFrom(source, { extra: 1.5 }), notification_id: id })
  assert.deepEqual(sent[0]?.headers, {
    'X-Token': 'canary-secret',
    'X-Open': 'seen',
    'content-type': 'application/json',
    'user-agent': 'everleaf-event-notifications/0.1.0',
    'accept-encoding': 'identity',
  })
  const shown = await room.call('GET', `/everleaf/deliveries?notification_id=${id}`)
  assert.equal(shown.json().deliveries[0].state, 'delivered')
  assert.equal(shown.json().deliveries[0].status, 201)
})
