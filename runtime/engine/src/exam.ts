import assert from 'node:assert/strict'
import { existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { BuildFailed, type Engine, type Instance, InstanceFailed, type InstanceSpec } from './engine.ts'

export type ExamSetting = {
  readonly engine: Engine
  /** A fresh folder on disk for images and mounts. */
  readonly folder: string
  /** Makes a tar.gz of these files and returns its path. */
  readonly archive: (files: Readonly<Record<string, string>>) => Promise<string>
  /** Where instances find the token and mounts; without it, at the paths they ask for. */
  readonly without?: { readonly mounts?: string; readonly memory?: string }
}

/** The program under which the engine is examined. */
const PROGRAM = `
const http = require('node:http'), fs = require('node:fs')
const TOKEN = process.env.CR_TOKEN_FILENAME || '/var/run/secrets/codeengine.cloud.ibm.com/compute-resource-token/token'
const attempt = (work) => { try { return work() } catch (error) { return { error: error.code } } }
let sick = 0, asked = 0
const routes = {
  '/env': () => ({ ...process.env, cwd: process.cwd() }),
  '/token': () => attempt(() => fs.readFileSync(TOKEN, 'utf8')),
  '/tokens': (q) => { const end = Date.now() + 1500, seen = {}; while (Date.now() < end) { const t = attempt(() => fs.readFileSync(q || TOKEN, 'utf8')); const k = typeof t === 'string' ? (/^(token-\\d+ )\\1*$/.test(t) && t.length >= 4000 ? 'whole' : 'torn') : t.error; seen[k] = (seen[k] ?? 0) + 1 } return seen },
  '/read': (q) => attempt(() => fs.readFileSync(q, 'utf8')),
  '/write': (q) => attempt(() => fs.writeFileSync(q, 'x')),
  '/modes': (q) => Object.fromEntries(['.', ...fs.readdirSync(q)].map((name) => [name, (fs.statSync(q + '/' + name).mode & 0o777).toString(8)])),
  '/list': (q) => attempt(() => fs.readdirSync(q)),
  '/log': (q) => { process.stdout.write('x'.repeat(Number(q)) + '\\n'); return {} },
  '/flood': (q) => { process.stdout.write('line\\n'.repeat(Number(q))); return {} },
  '/hang': () => { process.on('SIGTERM', () => {}); return {} },
  '/health': () => { const code = sick > 0 ? (sick--, 500) : 200; return { code } },
  '/sick': (q) => { sick = Number(q); return {} },
  '/asked': () => asked,
  '/block': (q) => { const end = Date.now() + Number(q); while (Date.now() < end); return {} },
  '/child': () => require('node:child_process').spawn('sleep', ['300']).pid,
}
if (process.env.FAIL) { console.error('cannot go on'); process.exit(Number(process.env.FAIL)) }
process.on('SIGTERM', () => { if (process.listenerCount('SIGTERM') === 1) process.exit(0) })
http.createServer((request, response) => {
  const url = new URL(request.url, 'http://x')
  if (url.pathname === '/health') { asked++; response.statusCode = routes['/health']().code; return response.end() }
  response.end(JSON.stringify(routes[url.pathname]?.(url.searchParams.get('q')) ?? null))
}).listen(process.env.PORT)
`

/** The exam of the Engine contract: every engine passes the same. */
export function engineExam(name: string, open: () => Promise<ExamSetting & { readonly close: () => Promise<void> }>): void {
  suite(`engine ${name}`, { concurrency: false }, () => {
    let setting: Awaited<ReturnType<typeof open>>
    let image = ''
    const lines: string[] = []
    let count = 0
    before(async () => {
      setting = await open()
      image = join(setting.folder, 'image')
      await setting.engine.build({ source: { archive: await setting.archive({ 'server.js': PROGRAM }) }, image, timeoutMs: 30_000, log: () => {} })
    })
    after(() => setting.close())

    async function run(over: Partial<InstanceSpec>, work: (ask: <T>(path: string) => Promise<T>, instance: Instance) => Promise<void>): Promise<void> {
      const instance = await setting.engine.start(specOf(over))
      try {
        await instance.ready
        await work((path) => ask(instance, path), instance)
      } finally {
        await instance.stop(0)
      }
    }
    const specOf = (over: Partial<InstanceSpec>): InstanceSpec => ({
      name: `exam-00001-deployment-${++count}`,
      workload: 'exam',
      image,
      commands: [],
      arguments: [],
      env: [],
      mounts: [],
      token: undefined,
      hosts: () => [],
      trust: '',
      port: 8080,
      memoryBytes: 256 * 1024 * 1024,
      readiness: undefined,
      liveness: undefined,
      log: (line) => void lines.push(line.text),
      ...over,
    })

    test('build() gives the same digest for the same source', async () => {
      const build = async (to: string) =>
        setting.engine.build({
          source: { archive: await setting.archive({ 'server.js': PROGRAM }) },
          image: join(setting.folder, to),
          timeoutMs: 30_000,
          log: () => {},
        })
      const [one, two] = [await build('one'), await build('two')]
      assert.match(one.digest, /^sha256:[0-9a-f]{64}$/)
      assert.equal(one.digest, two.digest)
    })

    test('build() leaves nothing of a source that it cannot build', async () => {
      const target = join(setting.folder, 'unbuildable')
      const archive = await setting.archive({ 'main.rs': '', 'Cargo.toml': '' })
      await assert.rejects(setting.engine.build({ source: { archive }, image: target, timeoutMs: 30_000, log: () => {} }), BuildFailed)
      assert.equal(existsSync(target), false)
    })

    test('an instance answers on its address once it is ready', () =>
      run({}, async (ask, instance) => {
        assert.notEqual(await ask('/env'), undefined)
        assert.ok(instance.address.port > 0)
      }))

    test('the environment is made from empty: user values, then the platform’s', () =>
      run(
        {
          env: [
            ['GREETING', `it's "here"\n$HOME`],
            ['PORT', '1'],
            ['LD_NOTHING', 'x'],
          ],
        },
        async (ask, instance) => {
          const env = await ask<Record<string, string>>('/env')
          assert.equal(env['GREETING'], `it's "here"\n$HOME`)
          assert.equal(env['LD_NOTHING'], 'x')
          assert.equal(env['PORT'], String(instance.address.port))
          assert.equal(env['HOSTNAME'], instance.name)
          assert.equal(env['PWD'], env['cwd'])
          for (const wanted of ['HOME', 'PATH', 'SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS']) assert.ok(env[wanted], wanted)
          assert.equal(
            Object.keys(env).some((key) => key.startsWith('npm_') || key.startsWith('NODE_TEST')),
            false,
          )
        },
      ))

    test('an instance without a port is ready once it has started, has no PORT, the hostname it was given, and ends with its status', async () => {
      lines.length = 0
      const program = ['node', '-e', 'console.log(process.env.PORT, process.env.HOSTNAME); process.exitCode = 9']
      const instance = await setting.engine.start(specOf({ port: undefined, hostname: 'shown-0-1', commands: program }))
      await instance.ready
      assert.deepEqual([(await instance.exited).code, instance.address.port], [9, 0])
      assert.deepEqual(lines, ['undefined shown-0-1'])
    })

    test('a program that ends before it answers is a failure with its exit code', async () => {
      const instance = await setting.engine.start(specOf({ env: [['FAIL', '24']] }))
      await assert.rejects(
        instance.ready,
        (error) => error instanceof InstanceFailed && error.reason === 'container_failed_exit_code_24' && /cannot go on/.test(error.message),
      )
      assert.equal((await instance.exited).code, 24)
    })

    test('an image that is not there is a failure', async () => {
      await assert.rejects(setting.engine.start(specOf({ image: join(setting.folder, 'nowhere') })), InstanceFailed)
    })

    const liveness = { type: 'http' as const, path: '/health', port: 8080, timeoutMs: 300, intervalMs: 50, initialDelayMs: 0, failureThreshold: 3 }
    const verdictOf = (instance: Instance) => {
      const seen: string[] = []
      void instance.unhealthy.then((why) => seen.push(why))
      return seen
    }

    test('a liveness probe that fails now and then is no matter; one that fails as often in a row as it may says what it saw', { timeout: 20_000 }, () =>
      run({ liveness }, async (ask, instance) => {
        const verdict = verdictOf(instance)
        for (let n = 0; n < 3; n++) {
          await ask('/sick?q=2')
          const before = await ask<number>('/asked')
          while ((await ask<number>('/asked')) < before + 4) await new Promise((resolve) => setTimeout(resolve, 20))
        }
        assert.deepEqual(verdict, [])
        await ask('/sick?q=1000')
        const before = await ask<number>('/asked')
        assert.match(await instance.unhealthy, /500/)
        const more = (await ask<number>('/asked')) - before
        assert.ok(more >= 2 && more <= 3, `${more} probes`)
      }),
    )

    test('a program that hangs is unhealthy for want of an answer, and still runs: nothing is stopped by that', () =>
      run({ liveness: { ...liveness, failureThreshold: 1 } }, async (ask, instance) => {
        const blocked = ask('/block?q=1500')
        assert.match(await instance.unhealthy, /no answer in 300 ms/)
        await blocked
        assert.equal(await ask<number>('/asked').then((asked) => asked > 0), true)
      }))

    test('a liveness probe waits for its initial delay', () =>
      run({ liveness: { ...liveness, initialDelayMs: 1_000 } }, async (ask) => {
        await new Promise((resolve) => setTimeout(resolve, 500))
        assert.equal(await ask('/asked'), 0)
      }))

    test('a liveness probe of another port finds that nobody is there', () =>
      run({ liveness: { ...liveness, type: 'tcp', port: 1, failureThreshold: 2 } }, async (_ask, instance) => {
        assert.notEqual(await instance.unhealthy, '')
      }))

    test('what has ended is not unhealthy', async () => {
      const instance = await setting.engine.start(specOf({ liveness }))
      await instance.ready
      const verdict = verdictOf(instance)
      await instance.stop(0)
      await new Promise((resolve) => setTimeout(resolve, 400))
      assert.deepEqual(verdict, [])
    })

    test('stop() lets a program that listens to SIGTERM end by itself', async () => {
      const instance = await setting.engine.start(specOf({}))
      await instance.ready
      assert.equal((await instance.stop(10_000)).code, 0)
    })

    test('stop() kills a program that does not listen', async () => {
      const instance = await setting.engine.start(specOf({}))
      await instance.ready
      await ask(instance, '/hang')
      const exit = await instance.stop(50)
      assert.ok(exit.signal === 'SIGKILL' || exit.code === 137, JSON.stringify(exit))
    })

    test('what holds more memory than its limit is ended, counting what it started; what only reserves memory is not', async (context) => {
      if (setting.without?.memory) return context.skip(setting.without.memory)
      const child = `const held = []; setInterval(() => held.push(Buffer.alloc(8e6, 1)), 20)`
      const bomb = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { detached: true }); setInterval(() => {}, 1000)`
      lines.length = 0
      const over = await setting.engine.start(specOf({ port: undefined, memoryBytes: 192 * 2 ** 20, commands: ['node', '-e', bomb] }))
      const exit = await over.exited
      assert.deepEqual([exit.outOfMemory, exit.code], [true, undefined])
      assert.match(lines.join(), /held more than its 192 MiB of memory/)
      const modest = `Buffer.allocUnsafeSlow(2e9); setTimeout(() => {}, 1500)`
      const within = await setting.engine.start(specOf({ port: undefined, memoryBytes: 192 * 2 ** 20, commands: ['node', '-e', modest] }))
      assert.deepEqual([(await within.exited).code, (await within.exited).outOfMemory], [0, false])
    })

    test('a line is cut at 32 KiB', () =>
      run({}, async (ask) => {
        lines.length = 0
        await ask('/log?q=100000')
        await until(() => lines.length > 0)
        assert.equal(lines[0]?.length, 32_768)
      }))

    test('a flood of lines is cut off and the dropped ones are counted', () =>
      run({}, async (ask) => {
        lines.length = 0
        await ask('/flood?q=100000')
        await until(() => lines.length >= 5000)
        await ask('/flood?q=1')
        await until(() => lines.some((line) => /\d+ lines were dropped/.test(line)), 5000)
      }))

    test('an instance without a token has none', () =>
      run({}, async (ask) => {
        assert.deepEqual(await ask('/token'), { error: 'ENOENT' })
      }))

    test('a token that comes later is written where it belongs', () =>
      run({ token: '' }, async (ask, instance) => {
        assert.deepEqual(await ask('/token'), { error: 'ENOENT' })
        await instance.writeToken('late', 'compute-resource')
        assert.equal(await ask('/token'), 'late')
      }))

    test('no reader sees a torn or missing token during 1,000 rewrites', () => {
      const token = (n: number) => `token-${n} `.repeat(500)
      return run({ token: token(0) }, async (ask, instance) => {
        const reading = ask<Record<string, number>>('/tokens')
        for (let n = 1; n <= 1000; n++) await instance.writeToken(token(n), 'compute-resource')
        const seen = await reading
        assert.deepEqual(Object.keys(seen), ['whole'])
      })
    })

    test("a service account stands at Kubernetes' path for its own instance alone, and its token is replaced as the other one is", async (context) => {
      if (setting.without?.mounts) return context.skip(setting.without.mounts)
      const token = (n: number) => `token-${n} `.repeat(500)
      const account = '/var/run/secrets/kubernetes.io/serviceaccount'
      await run({ serviceAccount: { token: token(0), namespace: 'abc', ca: 'PEM' } }, async (ask, instance) => {
        assert.deepEqual([await ask(`/read?q=${account}/namespace`), await ask(`/read?q=${account}/ca.crt`)], ['abc', 'PEM'])
        assert.deepEqual(await ask(`/modes?q=${account}`), { '.': '500', 'ca.crt': '400', namespace: '400', token: '400' })
        assert.deepEqual(await ask(`/write?q=${account}/new`), { error: 'EROFS' })
        const reading = ask<Record<string, number>>(`/tokens?q=${account}/token`)
        for (let n = 1; n <= 1000; n++) await instance.writeToken(token(n), 'service-account')
        assert.deepEqual(Object.keys(await reading), ['whole'])
        assert.deepEqual(await ask('/token'), { error: 'ENOENT' })
      })
      await run({}, async (ask) => assert.deepEqual(await ask(`/read?q=${account}/namespace`), { error: 'ENOENT' }))
    })

    test('a token of a service account that comes later is written where it belongs, and nothing is mounted over it', async (context) => {
      if (setting.without?.mounts) return context.skip(setting.without.mounts)
      const account = '/var/run/secrets/kubernetes.io/serviceaccount'
      await run({ serviceAccount: { token: '', namespace: 'abc', ca: 'PEM' } }, async (ask, instance) => {
        assert.deepEqual(await ask(`/read?q=${account}/token`), { error: 'ENOENT' })
        await instance.writeToken('late', 'service-account')
        assert.equal(await ask(`/read?q=${account}/token`), 'late')
      })
      const directory = join(setting.folder, 'over')
      mkdirSync(directory, { recursive: true })
      await assert.rejects(
        run({ mounts: [{ path: account, directory }] }, async () => {}),
        /nothing can be mounted/,
      )
    })

    test('mounts stand at their paths, read-only, and follow a swapped link', async (context) => {
      if (setting.without?.mounts) return context.skip(setting.without.mounts)
      const directory = join(setting.folder, 'mount')
      for (const version of ['v1', 'v2']) {
        mkdirSync(join(directory, version), { recursive: true })
        writeFileSync(join(directory, version, 'key'), version)
      }
      symlinkSync('v1', join(directory, 'data'))
      symlinkSync('data/key', join(directory, 'key'))
      const paths = ['/etc/exam-tls/site', '/exam-config', '/app/config', '/tmp/inside', '/mnt', '/var/run/exam']
      await run({ mounts: paths.map((path) => ({ path, directory })) }, async (ask) => {
        for (const path of paths) {
          assert.equal(await ask(`/read?q=${path}/key`), 'v1', path)
          assert.deepEqual(await ask(`/write?q=${path}/new`), { error: 'EROFS' }, path)
        }
        symlinkSync('v2', join(directory, 'next'))
        renameSync(join(directory, 'next'), join(directory, 'data'))
        for (const path of paths) assert.equal(await ask(`/read?q=${path}/key`), 'v2', path)
      })
      assert.equal(existsSync('/exam-config') || existsSync('/etc/exam-tls'), false)
    })

    test('the hosts file names what the spec names, and follows it', async (context) => {
      if (setting.without?.mounts) return context.skip(setting.without.mounts)
      let names = ['iam.cloud.ibm.com', 'a-name-that-goes.example.com']
      await run({ hosts: () => [{ address: '127.83.1.2', names }] }, async (ask) => {
        assert.match(await ask('/read?q=/etc/hosts'), /^127\.83\.1\.2\tiam\.cloud\.ibm\.com a-name-that-goes\.example\.com$/m)
        for (names of [['one.example.com'], ['one.example.com', 'two.example.com']]) {
          setting.engine.hostsChanged()
          await until(async () => (await ask<string>('/read?q=/etc/hosts')).endsWith(`\n127.83.1.2\t${names.join(' ')}\n`))
        }
      })
    })

    test('close() leaves no instance', async () => {
      const other = await open()
      const there = join(other.folder, 'image')
      await other.engine.build({ source: { archive: await other.archive({ 'server.js': PROGRAM }) }, image: there, timeoutMs: 30_000, log: () => {} })
      const instance = await other.engine.start(specOf({ image: there }))
      await instance.ready
      await other.close()
      await instance.exited
      await assert.rejects(ask(instance, '/env'))
    })
  })
}

function ask<T>(instance: Instance, path: string): Promise<T> {
  return new Promise((resolve, reject) => {
    get({ host: instance.address.host, port: instance.address.port, path, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve(JSON.parse(text) as T))
    }).on('error', reject)
  })
}

async function until(condition: () => boolean | Promise<boolean>, limitMs = 5000): Promise<void> {
  const end = performance.now() + limitMs
  while (!(await condition())) {
    assert.ok(performance.now() < end, 'it did not happen in time')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
