import { mkdirSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Engine, type Finding, InstanceFailed, type InstanceSpec, type TokenKind } from '@everleaf/engine'
import type { World } from '@everleaf/world'
import type { Cidr } from '@everleaf/world/addresses'
import { buildImage } from './build.ts'
import { environmentOf, SANDBOX_PLACES } from './environment.ts'
import { findingsOf } from './findings.ts'
import { type Helper, type Mode, startHelper } from './helper.ts'
import { readImage } from './image.ts'
import { LocalInstance } from './instance.ts'
import { componentUid, hostsFile, SYSTEM_PATH, sandboxHostsFile, sandboxLeftovers, sandboxStart, sandboxTokenFile } from './launcher.ts'
import { plainDirectory, plainPlaces, plainStart } from './plain.ts'
import type { FileSpec, FromHelper } from './protocol.ts'
import { freePort } from './readiness.ts'
import { writeTrust } from './trust.ts'

export type LocalEngineOptions = {
  readonly world: World
  /** Absolute path of a folder of the engine's own; what a former run left in it is removed. */
  readonly directory: string
  /** The helper's program; a bundled build names its own file. */
  readonly helper?: string
  /** The Node that instances find as `node`, and that runs the helper. Default: the one that runs this. */
  readonly node?: string
  /** Environment of tools in builds, so that they find the machine's own configuration; at least PATH and HOME. */
  readonly buildEnv?: Readonly<Record<string, string>>
  /** Absolute path of what tools that run code of packages must not see. Default: `directory`. */
  readonly hidden?: string
  /** `plain` does without namespaces even where they would work. */
  readonly mode?: 'auto' | 'plain'
  /** Blocks beside the public internet where repositories may be fetched from. Default: none. */
  readonly allowPrivate?: readonly Cidr[]
}

/** The engine whose instances are processes of this machine. Resolves when its helper process runs. */
export async function createLocalEngine(options: LocalEngineOptions): Promise<Engine> {
  const engine = new LocalEngine(options)
  await engine.begin()
  return engine
}

class LocalEngine implements Engine {
  readonly name = 'local'
  readonly #world: World
  readonly #directory: string
  readonly #node: string
  readonly #program: string
  readonly #buildEnv: Readonly<Record<string, string>>
  readonly #hidden: string
  readonly #allowPrivate: readonly Cidr[]
  readonly #wanted: readonly Mode[]
  readonly #refusals: string[] = []
  readonly #instances = new Map<string, LocalInstance>()
  readonly #calls = new Map<number, (error: string | undefined) => void>()
  /** What stands in the hosts files of running instances. */
  readonly #hosts = new Map<string, string>()
  readonly #images = new Map<string, ReturnType<typeof readImage>>()
  #helper: Promise<Helper> | undefined
  #mode: Mode = 'plain'
  #call = 0
  #closed = false

  constructor(options: LocalEngineOptions) {
    this.#world = options.world
    this.#directory = resolve(options.directory)
    this.#node = options.node ?? process.execPath
    this.#program = options.helper ?? fileURLToPath(new URL('./spawner.ts', import.meta.url))
    this.#buildEnv = options.buildEnv ?? { PATH: SYSTEM_PATH, HOME: homedir() }
    this.#hidden = options.hidden ?? this.#directory
    this.#allowPrivate = options.allowPrivate ?? []
    const namespaces: Mode[] = process.platform === 'linux' ? (process.getuid?.() === 0 ? ['root', 'user'] : ['user']) : []
    this.#wanted = options.mode === 'plain' ? ['plain'] : [...namespaces, 'plain']
  }

  /** Starts the helper in the best mode that this machine allows. */
  async begin(): Promise<void> {
    for (const name of ['instances', 'root']) rmSync(join(this.#directory, name), { recursive: true, force: true })
    for (const name of ['instances', 'cache', 'trust']) mkdirSync(join(this.#directory, name), { recursive: true, mode: 0o755 })
    for (const mode of this.#wanted) {
      try {
        this.#helper = Promise.resolve(await this.#startHelper(mode))
        this.#mode = mode
        return
      } catch (error) {
        this.#refusals.push(error instanceof Error ? error.message : String(error))
        this.#world.log.info({ mode, reason: this.#refusals.at(-1) }, 'instances cannot run in this way here')
      }
    }
    throw new Error(`no helper process can be started: ${this.#refusals.at(-1)}`)
  }

  findings(): readonly Finding[] {
    return findingsOf(this.#mode, this.#refusals)
  }

  async start(spec: InstanceSpec): Promise<LocalInstance> {
    if (this.#closed) throw new InstanceFailed('container_create_failed', 'the engine is closed')
    const image = this.#images.get(spec.image) ?? readImage(spec.image)
    this.#images.set(spec.image, image)
    const [helper, port] = await Promise.all([this.#ensureHelper(), spec.port === undefined ? undefined : freePort()])
    const instance = new LocalInstance({
      world: this.#world,
      spec,
      port,
      send: helper.send,
      writeToken: (token, kind) => this.#writeToken(spec, token, kind),
      leftovers: this.#mode === 'plain' ? [plainDirectory(this.#directory, spec.name)] : sandboxLeftovers(spec.name),
    })
    this.#instances.set(spec.name, instance)
    void instance.exited.then(() => {
      this.#instances.delete(spec.name)
      this.#hosts.delete(spec.name)
    })
    helper.send(this.#startMessage(spec, image, port))
    await instance.started
    return instance
  }

  build(request: Parameters<Engine['build']>[0]): ReturnType<Engine['build']> {
    const deps = { world: this.#world, env: this.#buildEnv, directory: this.#directory, hidden: this.#hidden, allowPrivate: this.#allowPrivate }
    return buildImage(request, deps)
  }

  uidOf(workload: string): number | undefined {
    return this.#mode === 'root' ? componentUid(workload) : undefined
  }

  hostsChanged(): void {
    if (this.#mode === 'plain') return
    for (const { spec } of this.#instances.values()) {
      const text = hostsFile(spec)
      if (this.#hosts.get(spec.name) === text) continue
      this.#hosts.set(spec.name, text)
      this.#write(`the hosts file of ${spec.name}`, { path: sandboxHostsFile(spec.name), mode: 0o444, uid: undefined, text }, true).catch((error: unknown) =>
        // It may have ended meanwhile.
        this.#world.log.info({ instance: spec.name, error: String(error) }, 'a hosts file could not be written'),
      )
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const helper = await this.#helper?.catch(() => undefined)
    await helper?.close()
    this.#lost()
    rmSync(join(this.#directory, 'instances'), { recursive: true, force: true })
  }

  #startMessage(spec: InstanceSpec, image: ReturnType<typeof readImage>, port: number | undefined) {
    const trust = writeTrust(join(this.#directory, 'trust'), spec.trust)
    const command = [...(spec.commands.length > 0 ? spec.commands : image.command), ...spec.arguments]
    const cache = image.digest.replace(/[^0-9a-z]/gi, '').slice(0, 32) || 'none'
    const places = this.#mode === 'plain' ? plainPlaces({ directory: this.#directory, spec, node: this.#node, cache }) : SANDBOX_PLACES
    const env = environmentOf({ spec, image, port, places, trust })
    if (this.#mode === 'plain') return plainStart({ directory: this.#directory, spec, command, env, places })
    const uid = this.uidOf(spec.workload)
    const hosts = hostsFile(spec)
    this.#hosts.set(spec.name, hosts)
    // One folder for each image and component: nobody can plant code in another's cache.
    return sandboxStart({ spec, command, env, hosts, uid, cache: `${cache}-${componentUid(spec.workload)}` })
  }

  #writeToken(spec: InstanceSpec, token: string, kind: TokenKind): Promise<void> {
    const plain = this.#mode === 'plain'
    // Nothing tells a plain process where its service account would be: there is no place for its token.
    if (plain && kind === 'service-account') return Promise.resolve()
    const path = plain ? join(plainDirectory(this.#directory, spec.name), 'token', 'token') : sandboxTokenFile(spec.name, kind)
    return this.#write(`the ${kind} token of ${spec.name}`, { path, mode: 0o400, uid: this.uidOf(spec.workload), text: token })
  }

  #write(what: string, file: FileSpec & { readonly text: string }, inPlace = false): Promise<void> {
    const call = ++this.#call
    return new Promise((done, fail) => {
      this.#calls.set(call, (error) => (error === undefined ? done() : fail(new Error(`writing ${what}: ${error}`))))
      this.#ensureHelper().then((helper) => helper.send({ type: 'write', call, file, inPlace }), fail)
    })
  }

  #ensureHelper(): Promise<Helper> {
    this.#helper ??= this.#startHelper(this.#mode)
    this.#helper.catch(() => {
      this.#helper = undefined
    })
    return this.#helper
  }

  #startHelper(mode: Mode): Promise<Helper> {
    return startHelper({
      world: this.#world,
      directory: this.#directory,
      program: this.#program,
      node: this.#node,
      mode,
      onMessage: (message) => this.#receive(message),
      onLost: () => {
        this.#world.log.error({ mode }, 'the helper process of the engine ended; a new one starts with the next instance')
        this.#lost()
      },
    })
  }

  /** All instances have ended with their helper. */
  #lost(): void {
    this.#helper = undefined
    for (const instance of this.#instances.values()) instance.end({ code: null, signal: 'SIGKILL' })
    for (const settle of this.#calls.values()) settle('the helper process ended')
    this.#calls.clear()
  }

  #receive(message: FromHelper): void {
    if (message.type === 'done') {
      this.#calls.get(message.call)?.(message.error)
      this.#calls.delete(message.call)
      return
    }
    if (message.type === 'hello') return
    this.#instances.get(message.id)?.receive(message)
  }
}
