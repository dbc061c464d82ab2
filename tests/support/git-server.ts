import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { createServer as createNetServer, type AddressInfo } from 'node:net'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Runs git in a folder, as somebody with a name and without any configuration of this machine; gives what it wrote. */
export function git(folder: string, ...words: string[]): string {
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'Ada',
    GIT_AUTHOR_EMAIL: 'ada@example.com',
    GIT_COMMITTER_NAME: 'Ada',
    GIT_COMMITTER_EMAIL: 'ada@example.com',
    GIT_COMMITTER_DATE: '2026-03-01T00:00:00Z',
    GIT_AUTHOR_DATE: '2026-03-01T00:00:00Z',
  }
  return execFileSync('git', ['-c', 'init.defaultBranch=trunk', '-c', 'protocol.file.allow=always', ...words], { cwd: folder, env, encoding: 'utf8' }).trim()
}

/** Writes these files and commits everything; gives the commit. */
export function commit(folder: string, files: Readonly<Record<string, string>>): string {
  if (!existsSync(join(folder, '.git'))) {
    mkdirSync(folder, { recursive: true })
    git(folder, 'init', '--quiet')
  }
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  git(folder, 'add', '--all', '--force')
  git(folder, 'commit', '--quiet', '--message', 'change')
  return git(folder, 'rev-parse', 'HEAD')
}

export type GitServer = {
  readonly port: number
  /** Paths that were asked for. */
  readonly asked: string[]
  /** Answers of its own for paths that begin so. */
  readonly instead: Map<string, { status: number; location?: string } | 'never'>
  close(): void
}

/**
 * git's own server for the repositories below a folder, over HTTPS, by `git http-backend`: `https://HOST:port/NAME/.git`, or `/NAME.git` where it
 * is called so.
 */
export async function startGitServer(root: string, { certificate, key }: { certificate: string; key: string }): Promise<GitServer> {
  const asked: string[] = []
  const instead: GitServer['instead'] = new Map()
  const server = createServer({ cert: certificate, key }, (request, response) => {
    const url = new URL(request.url ?? '/', 'https://git')
    asked.push(url.pathname)
    const own = [...instead].find(([path]) => url.pathname.startsWith(path))?.[1]
    if (own === 'never') return
    if (own !== undefined) {
      const query = url.pathname.endsWith('/info/refs') ? `/info/refs${url.search}` : ''
      return void response.writeHead(own.status, own.location === undefined ? {} : { location: `${own.location}${query}` }).end()
    }
    const backend = spawn('git', ['http-backend'], {
      env: {
        PATH: process.env.PATH,
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_CONFIG_NOSYSTEM: '1',
        // Repositories of the test are its own, whoever runs it.
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'safe.directory',
        GIT_CONFIG_VALUE_0: '*',
        PATH_INFO: url.pathname,
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method ?? 'GET',
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
        REMOTE_ADDR: '127.0.0.1',
      },
    })
    request.pipe(backend.stdin).on('error', () => {})
    let head = Buffer.alloc(0)
    let hasHead = false
    backend.stdout.on('data', (chunk: Buffer) => {
      if (hasHead) return void response.write(chunk)
      head = Buffer.concat([head, chunk])
      const end = head.indexOf('\r\n\r\n')
      if (end === -1) return
      hasHead = true
      const lines = head.toString('latin1', 0, end).split('\r\n')
      const fields = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]))
      const { status = '200', ...headers } = fields
      response.writeHead(Number.parseInt(status, 10), headers)
      response.write(head.subarray(end + 4))
    })
    backend.on('close', () => response.end())
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    instead,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

export type SshServer = {
  readonly port: number
  readonly user: string
  readonly key: string
  readonly otherKey: string
  readonly knownHosts: string
  close(): void
}

const SSHD = '/usr/sbin/sshd'

/** OpenSSH's server, which lets one key in; undefined where there is none. `key` and `otherKey` are private keys, of which only the first opens it. */
export async function startSshServer(folder: string, host: string): Promise<SshServer | undefined> {
  if (!existsSync(SSHD) || spawnSync('ssh-keygen', ['-?']).error !== undefined) return undefined
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const keys = ['host', 'client', 'other'].map((name) => {
    const file = join(folder, name)
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file])
    return { private: readFileSync(file, 'utf8'), public: readFileSync(`${file}.pub`, 'utf8') }
  })
  const port = await freePort()
  writeFileSync(join(folder, 'authorized'), keys[1]?.public ?? '')
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const settings = { Port: port, ListenAddress: '127.0.0.1', HostKey: join(folder, 'host'), AuthorizedKeysFile: join(folder, 'authorized') }
  const fixed = { StrictModes: 'no', UsePAM: 'no', PidFile: 'none', PasswordAuthentication: 'no', PermitRootLogin: 'prohibit-password' }
  const child = spawn(
    SSHD,
    ['-D', '-e', '-f', '/dev/null', ...Object.entries({ ...settings, ...fixed }).flatMap(([name, value]) => ['-o', `${name}=${value}`])],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  for (let n = 0; n < 100 && !said.includes('Server listening'); n++) {
    if (child.exitCode !== null) throw new Error(`sshd ended: ${said}`)
    await sleep(50)
  }
  return {
    port,
    user: userInfo().username,
    key: keys[1]?.private ?? '',
    otherKey: keys[2]?.private ?? '',
    knownHosts: `[${host}]:${port} ${keys[0]?.public ?? ''}`,
    close: () => void child.kill(),
  }
}

async function freePort(): Promise<number> {
  const server = createNetServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
