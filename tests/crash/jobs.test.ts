import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { jobsOf } from '../support/jobs.ts'
import { eventually, freshHome, ROOT, startPlatform } from '../support/platform.ts'

const ENTRY = join(ROOT, 'tests/crash/entry.ts')
const INDICES = 8
const KILLS = 3

test('core killed when indices are written down and edge has not heard of it: each index runs once, and all are counted', { timeout: 120_000 }, async () => {
  using place = freshHome()
  const crashFile = join(place.home, 'crash-at')
  await using platform = await startPlatform({
    ...place,
    env: { EVERLEAF_TEST_CRASH_FILE: crashFile },
    entry: [ENTRY],
    args: ['--set', 'jobs.parallelism=2'],
  })
  const jobs = jobsOf(platform)
  const program = "console.log('began'); setTimeout(() => console.log('ended'), 300)"
  const image = await jobs.image('counted', { 'index.js': program, 'package.json': '{"scripts":{"start":"node index.js"}}' })
  await jobs.submit({ name: 'counted', image_reference: image, scale_array_spec: `0-${INDICES - 1}`, scale_retry_limit: 0 })
  for (let kill = 1; kill <= KILLS; kill++) {
    writeFileSync(crashFile, 'ce.indices-recorded')
    await eventually(`core died the ${kill}. time`, () => !existsSync(crashFile))
    await eventually('core answers again', async () => (await jobs.get('counted').catch(() => undefined)) !== undefined)
  }
  const { status, status_details: details } = await jobs.over('counted')
  assert.deepEqual([status, details.succeeded_indices, details.failed], ['completed', `0-${INDICES - 1}`, 0])
  const began = (await jobs.logs('counted')).filter(({ message }) => message === 'began').map(({ index }) => index)
  assert.deepEqual(
    began.sort((a = 0, b = 0) => a - b),
    Array.from({ length: INDICES }, (_, index) => index),
  )
})
