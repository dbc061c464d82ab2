import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { deploy, webApp } from '../support/pipeline.ts'
import { couldNotRun, eventually, freshHome, startPlatform } from '../support/platform.ts'

const CONNECTIONS = 80

const filesOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length
const limit = (pid: number, files: number) => execFileSync('prlimit', ['--pid', `${pid}`, `--nofile=${files}:4096`])

test('edge and core without file descriptors left wait, end nothing, and go on when there are some', { timeout: 120_000 }, async () => {
  try {
    execFileSync('prlimit', ['--version'])
  } catch {
    return couldNotRun('a process without file descriptors', 'prlimit is not here (util-linux)')
  }
  using place = freshHome()
  await using platform = await startPlatform(place)
  await deploy(platform, 'shop', webApp(`response.end('shop')`), { scale_min_instances: 1 })
  const url = `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`
  const ask = async () => (await platform.api('GET', `${url}?limit=1`)).status
  assert.equal(await ask(), 200)
  const [edge, core] = [platform.child.pid ?? 0, platform.corePid()]
  for (const [pid, more] of [
    [edge, 40],
    [core, 4],
  ] as const) {
    const sockets: Socket[] = []
    const most = filesOf(pid) + more
    limit(pid, most)
    try {
      for (const port of [platform.ports.api, platform.ports.public])
        for (let n = 0; n < CONNECTIONS; n++) sockets.push(connect(port, '127.0.0.1').on('error', () => {}))
      await sleep(500)
      // Each through a connection of its own; who is not served by now may be later.
      const asked = Array.from({ length: CONNECTIONS }, () => platform.api('GET', `${url}?limit=1`).catch(() => undefined))
      await eventually('none is left', () => filesOf(pid) >= most - 1)
      await Promise.race([Promise.all(asked), sleep(2_000)])
    } finally {
      for (const socket of sockets) socket.destroy()
      limit(pid, 4096)
    }
    assert.deepEqual([platform.child.exitCode, platform.corePid()], [null, core], 'neither of the two has ended')
    await eventually('it answers again', async () => (await ask().catch(() => 0)) === 200, 15_000)
    assert.equal((await platform.api('POST', url, { secret_type: 'arbitrary', name: `after-${pid}`, payload: 'x' })).status, 201)
  }
  assert.equal(await platform.stop(), 0)
})
