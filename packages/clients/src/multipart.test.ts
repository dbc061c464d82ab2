import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multipart } from './multipart.ts'

test('multipart() is read back whole by another implementation', async () => {
  const config = '{"params":{"url":"https://a/ü","verb":"post"}}'
  const { type, bytes } = multipart(
    [
      { name: 'name', value: 'sync' },
      { name: 'config', value: config, type: 'application/json' },
    ],
    'b0undary',
  )
  const form = await new Response(bytes, { headers: { 'content-type': type } }).formData()
  assert.deepEqual(
    [...form.entries()],
    [
      ['name', 'sync'],
      ['config', config],
    ],
  )
})

test('multipart() refuses a name that would end the header', () => assert.throws(() => multipart([{ name: 'a"\r\nx: y', value: '' }], 'b')))
