import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../support/platform.ts'

const filesOf = (folder: string) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
    .map((name) => join(folder, name))
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')

test('every crash point of the code is one that some test of this folder dies at', () => {
  const points = ['apps', 'services', 'runtime', 'packages']
    .flatMap(filesOf)
    .filter((file) => file.includes('/src/') && !file.endsWith('.test.ts'))
    .flatMap((file) => [...read(file).matchAll(/crashPoint\??\.?\((['`])(.+?)\1\)/g)].map(([, , name = '']) => name))
  assert.ok(points.length > 40, `only ${points.length} points were found`)
  const tests = filesOf('tests/crash')
    .filter((file) => !file.endsWith('named.test.ts'))
    .map(read)
    .join('\n')
  // What is counted or named by what runs is looked for up to there.
  assert.deepEqual(
    points.filter((name) => !tests.includes(name.split('${')[0] ?? name)),
    [],
  )
})
