import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openStore } from '@everleaf/store'
import { createWorld } from '@everleaf/world'
import { createRunner, enqueue, type JobTables, migrations } from '../src/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'everleaf-jobs-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('behind 20,000 jobs of a full queue, 500 jobs of others run in less than 10 seconds, and wait for nobody', async () => {
  const world = createWorld()
  const store = await openStore({ file: join(folder, 'backlog'), world, migrations, maxWriteMs: 60_000 })
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  let runs = 0
  const handlers = {
    stuck: { run: async () => (await gate, 'done' as const), nextAttempt: () => undefined },
    quick: { run: async () => (runs++, 'done' as const), nextAttempt: () => undefined },
  }
  await store.write(async (tx) => {
    for (let n = 0; n < 20_000; n++) await enqueue(tx, world, 'stuck', n)
  })
  const runner = createRunner({ store, world, handlers, owner: 'me', alone: true })
  runner.start()
  const began = performance.now()
  await Promise.all(Array.from({ length: 500 }, (_, n) => store.write((tx) => enqueue(tx, world, 'quick', n, { queue: `q${n % 100}` }))))
  while (runs < 500) await world.sleep(5)
  assert.ok(performance.now() - began < 10_000)
  open()
  await runner.stop(0)
  const left = await store.tables<JobTables>().selectFrom('jobs').select('state').where('state', '=', 'running').execute()
  assert.deepEqual(left, [])
  await store.close()
})
