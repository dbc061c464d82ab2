import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { serialize } from 'node:v8'
import { createWorld } from '@everleaf/world'
import { createEdgeSide, type Item } from '../src/index.ts'

test('a snapshot that comes in one piece with the answer to the upgrade is taken', { timeout: 30_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ev-link-'))
  const socketPath = join(folder, 'core.sock')
  const body = serialize({ type: 'snapshot', epoch: 'one', version: 1, items: [] })
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length)
  // A busy edge reads both at once: nothing may be lost between HTTP and the frames.
  const core = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () =>
      socket.write(Buffer.concat([Buffer.from('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: everleaf-link\r\n\r\n'), length, body])),
    )
  }).listen(socketPath)
  const unused = () => Promise.reject(new Error('not asked for here'))
  let edge: ReturnType<typeof createEdgeSide> | undefined
  const items = await new Promise<readonly Item[]>((onSnapshot) => {
    edge = createEdgeSide({
      world: createWorld(),
      socketPath,
      offered: { build: unused, instances: unused, logs: unused, restart: unused, cancelBuild: unused, events: unused, forgetLogs: unused },
      onSnapshot,
      onDifference: () => {},
      onDown: () => {},
    })
  })
  assert.deepEqual(items, [])
  edge?.close()
  core.close()
  rmSync(folder, { recursive: true })
})
