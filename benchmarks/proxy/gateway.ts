// The gateway alone, for proxy.ts: one host, one app. The platform's certificate is the host's, because wrk names no SNI for an address.
import { readFileSync } from 'node:fs'
import { createGateway, createTable } from '@everleaf/gateway'
import { createWorld } from '@everleaf/world'

const [folder = '', backend = '', host = '', port = ''] = process.argv.slice(2)
const read = (name: string) => readFileSync(`${folder}/${name}`, 'utf8')
const table = createTable()
table.replace([
  { kind: 'settings', key: 'platform', value: { domain: 'everleaf.localhost', region: 'eu-de', platformCertificate: 'c', appSuffixes: [], caCertificate: '' } },
  { kind: 'certificate', key: 'c', value: { chain: read('cert.pem'), privateKey: read('key.pem'), fingerprint: 'c' } },
  { kind: 'host', key: host, value: { listener: 'public', certificate: 'c', to: { kind: 'workload', workload: 'app' } } },
])
const lease = { address: { host: '127.0.0.1', port: Number(backend) }, release: () => {} }
const gateway = createGateway({
  world: createWorld(),
  table,
  backends: { take: () => lease, acquire: () => Promise.reject(new Error('never')), warm: () => {} },
  api: { socketPath: '/nowhere' },
  limits: { requestsPerConnection: 10_000_000 },
})
await gateway.listen({ public: { host: '127.0.0.1', port: Number(port) } })
