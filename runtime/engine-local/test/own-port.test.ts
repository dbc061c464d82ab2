import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { InstanceFailed, type InstanceSpec } from '@everleaf/engine'
import { openSetting } from './setting.ts'

let setting: Awaited<ReturnType<typeof openSetting>>
before(async () => {
  setting = await openSetting('auto')
})
after(() => setting.close())

let count = 0
async function start(program: string, port: number) {
  const image = join(setting.folder, `image-${++count}`)
  await setting.engine.build({ source: { archive: await setting.archive({ 'server.js': program }) }, image, timeoutMs: 60_000, log: () => {} })
  const empty = { commands: [], arguments: [], env: [], mounts: [], hosts: () => [], trust: '', token: undefined, readiness: undefined, liveness: undefined }
  const spec: InstanceSpec = { ...empty, name: `p${count}`, workload: 'ports', image, port, memoryBytes: 1e9, log: () => {} }
  return await setting.engine.start(spec)
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

test('a program that does not read PORT is reached at the port that its app names', { timeout: 30_000 }, async (t) => {
  if (process.platform !== 'linux') return t.skip('Linux alone tells which process has a port')
  const port = await freePort()
  const instance = await start(
    `require('child_process').spawn(process.execPath, ['-e', "require('net').createServer((s) => s.end()).listen(${port})"], { stdio: 'inherit' })`,
    port,
  )
  await instance.ready
  assert.equal(instance.address.port, port)
  await instance.stop(100)
})

test('one that reads PORT is reached there, though it opened the other port first', { timeout: 30_000 }, async () => {
  const port = await freePort()
  const program = `const net = require('net'); net.createServer((s) => s.end()).listen(${port}); setTimeout(() => net.createServer((s) => s.end()).listen(process.env.PORT), 250)`
  const instance = await start(program, port)
  await instance.ready
  assert.notEqual(instance.address.port, port)
  await instance.stop(100)
})

test('a port of somebody else is not taken for the one of the instance', { timeout: 30_000 }, async () => {
  const somebody = createServer().listen(0)
  const { port } = somebody.address() as { port: number }
  const instance = await start('setTimeout(() => process.exit(4), 1500)', port)
  await assert.rejects(instance.ready, (error) => error instanceof InstanceFailed && error.reason === 'container_failed_exit_code_4')
  somebody.close()
})
