import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createWorld } from '@everleaf/world'
import { openDemoAuthority } from '../src/demo-authority.ts'

const world = createWorld()

test('the demo authority is kept whole, for its owner alone, and found again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'everleaf-authority-'))
  try {
    const first = await openDemoAuthority(folder, world)
    assert.deepEqual(readdirSync(folder), ['authority.json'])
    assert.equal(statSync(join(folder, 'authority.json')).mode & 0o777, 0o600)
    assert.equal((await openDemoAuthority(folder, world)).root, first.root)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

for (const damage of ['', '{"root":"-----BEGIN', 'null', '{}', '{"root":"x","intermediate":null}'])
  test(`a demo authority damaged to ${JSON.stringify(damage)} is made anew and can issue`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'everleaf-authority-'))
    try {
      writeFileSync(join(folder, 'authority.json'), damage)
      const authority = await openDemoAuthority(folder, world)
      assert.match((await authority.issue(['shop.example.com'], 'ecdsa')).certificate, /BEGIN CERTIFICATE/)
      assert.match(readFileSync(join(folder, 'authority.json'), 'utf8'), /BEGIN CERTIFICATE/)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
