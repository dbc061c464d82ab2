/** An owner of an engine, to be killed by `orphans.test.ts`: starts one instance that starts a child, says so and stays. */
import { join } from 'node:path'
import { createWorld } from '@everleaf/world'
import { createLocalEngine } from '../src/index.ts'
import { filesOf, writeArchive } from './setting.ts'

const [, , mode, mark = '', folder = ''] = process.argv
const program = `
require('node:child_process').spawn('sleep', ['300'], { detached: true, stdio: 'ignore' })
require('node:http').createServer((_, response) => response.end()).listen(process.env.PORT)
`
const engine = await createLocalEngine({ world: createWorld(), directory: join(folder, 'engine'), mode: mode === 'plain' ? 'plain' : 'auto' })
const image = join(folder, 'image')
await engine.build({ source: { archive: await writeArchive(folder, filesOf({ 'server.js': program })) }, image, timeoutMs: 30_000, log: () => {} })
const instance = await engine.start({
  name: 'orphan',
  workload: 'orphan',
  image,
  commands: [],
  arguments: [],
  env: [['MARK', mark]],
  mounts: [],
  token: undefined,
  hosts: () => [],
  trust: '',
  port: 8080,
  memoryBytes: 0,
  readiness: undefined,
  liveness: undefined,
  log: () => {},
})
await instance.ready
process.stdout.write('running\n')
setInterval(() => {}, 1000)
