import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { homeAt } from '../home.ts'
import { removeLeftovers } from './leftovers.ts'

const KEPT = [
  'login.json',
  'notes.tmp',
  'keys/root.key',
  'keys/root.key.next',
  'run/ports.json',
  'data/everleaf.db',
  'data/archives/ab12.tar.gz',
  'data/images/one/server.js',
]
const LEFT = ['login.json.0a1b2c3d.tmp', 'keys/root.key.0a1b2c3d.tmp', 'keys/root.key.next.0a1b2c3d.tmp', 'run/ports.json.0a1b2c3d.tmp']
const HALF = ['data/archives/.1f0c0b52-7c1b-4a55-8a3f-5d0d4c3b2a19.part', 'data/images/two.building-0a1b2c3d/server.js']

test('removeLeftovers() removes what was half done, and nothing else', (context) => {
  const root = mkdtempSync(join(tmpdir(), 'everleaf-left-'))
  context.after(() => rmSync(root, { recursive: true }))
  for (const file of [...KEPT, ...LEFT, ...HALF]) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), 'x')
  }
  removeLeftovers(homeAt(root))
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  assert.deepEqual(files.map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1)).sort(), [...KEPT].sort())
  assert.equal(readdirSync(join(root, 'data/images')).join(), 'one')
})

test('removeLeftovers() does nothing in a home that is new', (context) => {
  const root = mkdtempSync(join(tmpdir(), 'everleaf-left-'))
  context.after(() => rmSync(root, { recursive: true }))
  removeLeftovers(homeAt(root))
  assert.deepEqual(readdirSync(root), [])
})
