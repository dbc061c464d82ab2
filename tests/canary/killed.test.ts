import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { filesBelow } from '../support/files.ts'
import { deploy, webApp } from '../support/pipeline.ts'
import { eventually, freshHome, processesOf, type Running, startPlatform } from '../support/platform.ts'

const APP = webApp(`response.end('ok')`)

for (const [how, args] of [
  ['as this machine allows', []],
  ['as plain processes', ['--set', 'engine.namespaces=off']],
] as const) {
  test(`edge killed hard while instances run ${how}: the next start leaves no secret but sealed and with those that live`, { timeout: 180_000 }, async () => {
    using place = freshHome()
    const canary = () => `canary${randomBytes(16).toString('hex')}`
    const planted = { generic: canary(), mounted: canary(), sleeping: canary(), arbitrary: canary(), half: canary() }
    let platform = await startPlatform({ ...place, args })
    const project = (running: Running) => `${running.env.CODE_ENGINE_URL}/projects/${running.env.CODE_ENGINE_PROJECT_ID}`
    const post = async (url: string, body: object) => {
      const { status, text } = await platform.api('POST', url, body)
      assert.equal(status, 201, text)
    }
    await post(`${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`, { secret_type: 'arbitrary', name: 'an-arbitrary', payload: planted.arbitrary })
    await post(`${project(platform)}/secrets`, { name: 'generic', format: 'generic', data: { value: planted.generic } })
    for (const name of ['mounted', 'sleeping'] as const) await post(`${project(platform)}/secrets`, { name, format: 'generic', data: { value: planted[name] } })
    // One runs again after the kill; the other was proven before and waits for a request.
    for (const [name, scale_min_instances, reference] of [
      ['stays', 1, 'mounted'],
      ['sleeps', 0, 'sleeping'],
    ] as const)
      await deploy(platform, name, APP, {
        scale_min_instances,
        scale_max_instances: 1,
        run_compute_resource_token_enabled: true,
        run_volume_mounts: [{ type: 'secret', mount_path: '/mnt/secret', reference }],
        run_env_variables: [{ type: 'secret_key_reference', name: 'GENERIC', reference: 'generic', key: 'value' }],
      })
    const instances = async (name: string) =>
      ((await platform.api('GET', `${project(platform)}/apps/${name}/instances`)).body.instances as { name: string }[]).map((one) => one.name)
    const former = [...(await instances('stays')), ...(await instances('sleeps'))]
    assert.equal(former.length, 2)
    for (const name of ['mounted', 'sleeping'] as const)
      assert.ok(filesWith(place.home, planted[name]).length > 0, `${name} was not mounted: this shows nothing`)
    const tokens = tokenFiles(place.home)
    if (args.length > 0) assert.equal(tokens.length, 2, tokens.join())

    platform.child.kill('SIGKILL')
    await eventually('nothing of the platform runs', () => processesOf(place.home).length === 0)
    // As a kill leaves it between the writing of a file and its name.
    for (const file of ['login.json', 'keys/root.key', 'keys/root.key.next', 'run/ports.json'])
      writeFileSync(join(place.home, `${file}.0a1b2c3d.tmp`), planted.half)
    platform = await startPlatform({ ...place, args })
    try {
      const live = await eventually('the app that stays runs again', async () =>
        (await instances('stays').catch(() => [])).find((name) => !former.includes(name)),
      )
      assert.deepEqual(await instances('sleeps'), [])
      const needles = { ...planted, token: await platform.token(), apikey: platform.env.IBMCLOUD_API_KEY ?? '' }
      const found: string[] = []
      for (const [what, needle] of Object.entries(needles))
        for (const file of filesWith(place.home, needle)) {
          const isAllowed = (what === 'apikey' && file === '/login.json') || (what === 'mounted' && file.startsWith('/run/mounts/'))
          if (!isAllowed) found.push(`${what} in ${file}`)
        }
      assert.deepEqual(found, [])
      for (const name of former) assert.ok(!tokenFiles(place.home).some((file) => file.includes(`/${name}/`)), `the token of ${name} is still there`)
      const folders = existsSync(join(place.home, 'run/engine/instances')) ? readdirSync(join(place.home, 'run/engine/instances')) : []
      assert.deepEqual(
        folders.filter((name) => name !== live),
        [],
      )
    } finally {
      await platform.stop()
    }
  })
}

function filesWith(home: string, needle: string): string[] {
  return [...filesBelow(home)].flatMap(([file, bytes]) => (bytes.includes(needle) ? [file] : []))
}

/** Compute resource tokens of instances, wherever they are below the home. */
function tokenFiles(home: string): string[] {
  return [...filesBelow(join(home, 'run'))].flatMap(([file, bytes]) => (/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(bytes.toString('latin1').trim()) ? [file] : []))
}
