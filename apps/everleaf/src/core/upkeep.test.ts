import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRunner, migrations as jobMigrations } from '@everleaf/jobs'
import type { Difference } from '@everleaf/link'
import { openStore, openVault } from '@everleaf/store'
import { testWorld } from '@everleaf/world/test'
import { readConfig } from '../config.ts'
import { migrations, openPlatformPki } from './platform-pki.ts'
import { upkeepOf } from './upkeep.ts'

const DAY_MS = 86_400_000

test("the platform's own certificates are renewed when a third of their life is left, and handed to the edge", async () => {
  const world = testWorld()
  const store = await openStore({ file: ':memory:', world, migrations: { ...jobMigrations, ...migrations } })
  const { config } = readConfig([], {})
  const pki = await openPlatformPki({ store, vault: await openVault({ store, world, rootKey: Buffer.alloc(32) }), world, domain: config.domain })
  const told: Difference[] = []
  const upkeep = upkeepOf({ world, store, pki, config, apply: (difference) => void told.push(difference) })
  await upkeep.schedule()
  await upkeep.schedule()
  const runner = createRunner({ store, world, handlers: upkeep.jobs, owner: 'test', alone: true })
  const served = () => (told.at(-1)?.upserts ?? []).map((item) => (item.kind === 'certificate' ? [item.key, item.value.fingerprint] : []))
  assert.equal(await runner.runOnce(), 1)
  const first = served()
  assert.deepEqual(
    first.map(([key]) => key),
    ['platform', 'cluster'],
  )
  await world.advance(260 * DAY_MS)
  assert.equal(await runner.runOnce(), 0)
  await world.advance(6 * DAY_MS)
  assert.equal(await runner.runOnce(), 1)
  const second = served()
  for (const [at, one] of first.entries()) assert.notEqual(second[at]?.[1], one[1])
  assert.equal(told.length, 2)
  await store.close()
})
