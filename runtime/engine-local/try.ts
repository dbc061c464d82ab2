import { createWorld } from '@everleaf/world'
import { createLocalEngine } from './src/index.ts'

const world = createWorld()
const t0 = performance.now()
const engine = await createLocalEngine({ world, directory: '/tmp/el/dir', mode: (process.argv[2] ?? 'auto') as 'auto' })
console.log(
  'engine up',
  performance.now() - t0,
  engine.findings().map((f) => `${f.subject} ${f.works} ${f.message}`),
)
const spec = (n: string) => ({
  name: n,
  workload: 'w',
  image: '/tmp/el/img',
  commands: [],
  arguments: [],
  env: [
    ['A', "b'c\n$d"],
    ['LD_X', 'q'],
  ] as [string, string][],
  mounts: [
    { path: '/etc/tls/x', directory: '/tmp/el/m' },
    { path: '/certs/y', directory: '/tmp/el/m' },
    { path: '/app/z', directory: '/tmp/el/m' },
  ],
  token: 'tok',
  hosts: [{ address: '127.0.0.1', names: ['iam.cloud.ibm.com'] }],
  trust: '',
  port: 8080,
  memoryBytes: 1e9,
  readiness: undefined,
  log: (l: { text: string }) => console.log('LOG', l.text),
})
const i = await engine.start(spec('one'))
try {
  await i.ready
} catch (e) {
  console.log(e)
}
try {
  await fetch('http://127.0.0.1:' + i.address.port)
} catch {}
console.log(await i.stop(2000))
const times: number[] = []
const prev = console.log
for (let k = 0; k < 20; k++) {
  const s = performance.now()
  const x = await engine.start(spec(`t${k}`))
  await x.ready
  times.push(performance.now() - s)
  await x.stop(1000)
}
console.log(times.map((x) => x.toFixed(0)).join(' '), 'median', times.sort((a, b) => a - b)[10])
await engine.close()
console.log('closed')
process.exit(0)
