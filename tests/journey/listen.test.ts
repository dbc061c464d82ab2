import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { couldNotRun, everleaf, freshHome, startPlatform } from '../support/platform.ts'
import { servedLeaf } from '../support/tls.ts'

for (const listen of ['127.0.0.9', '::1']) {
  test(`with --listen ${listen} a rotation is carried and proven, and both that address and loopback serve`, { timeout: 240_000 }, async () => {
    if (!(await canListen(listen))) return couldNotRun(`--listen ${listen}`, 'this machine has no such address')
    using place = freshHome()
    await using platform = await startPlatform({ ...place, args: ['--listen', listen, '--set', 'scale.stable_window=6s'] })
    const { status, stdout, stderr } = await everleaf(['demo', '--once', '--json'], { ...place, limitMs: 180_000 })
    assert.equal(status, 0, stdout + stderr)
    const shown = await Promise.all([listen, '127.0.0.1'].map((address) => servedLeaf('shop.example.com', platform.ports.public, { address })))
    assert.equal(shown[0], shown[1])
    const written = listen.includes(':') ? `[${listen}]` : listen
    assert.match(platform.output(), new RegExp(`TLS on ${written.replace(/[[\]]/g, '\\$&')}:${platform.ports.public}\\.`))
    assert.ok((await everleaf(['status'], place)).stdout.includes(`https://${written}:${platform.ports.public}`))
  })
}

function canListen(host: string): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(0, host, () => server.close(() => resolve(true)))
  })
}
