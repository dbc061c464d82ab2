import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildFailed, type Commit, type GitSource } from '@everleaf/engine'
import { type Cidr, judgedAddresses } from '@everleaf/world/addresses'
import { ARCHIVE_LIMITS } from './archive.ts'

export type GitDeps = {
  /** Absolute path of a folder that is not there yet, and is nobody's afterwards. */
  readonly folder: string
  /** Environment of tools, of which git gets what leads to a proxy and to roots of trust. */
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  readonly log: (text: string) => void
  readonly lookup: (host: string) => Promise<readonly string[]>
  /** Blocks beside the public internet that may be called. */
  readonly allowPrivate: readonly Cidr[]
  /** No file that git writes is larger. Default: what a source may be unpacked to. */
  readonly maxBytes?: number
}

/** The first git that can be told which address to call instead of asking DNS (http.curloptResolve). */
const OLDEST_GIT = [2, 37] as const
const KEPT_ENV = /^(PATH|ssl_cert_file|git_ssl_cainfo|https?_proxy)$/i
const PROXY = /^https_proxy$/i
/** A shell's limit counts blocks of 512 bytes. */
const LIMITED = 'ulimit -f $1; shift; exec git "$@"'

/**
 * Fetches one commit by the machine's git and packs its tree as a tar.gz, which is then unpacked with the checks of any other archive: no working
 * tree is made, so that no filter, hook or link of the repository acts. git sees no configuration of this machine's users, speaks https and
 * ssh only, follows no redirect to elsewhere, and calls the addresses that were judged (threats-and-faults T85). Where the machine has a proxy, the
 * proxy calls. Throws BuildFailed.
 */
export async function fetchGit(source: GitSource, deps: GitDeps): Promise<Fetched> {
  return await fetchAndPack(source, deps).catch((error: unknown) => {
    throw error instanceof GitEnded ? explained(error, source) : error
  })
}

type Fetched = { readonly archive: string; readonly commit: Commit }

async function fetchAndPack(source: GitSource, deps: GitDeps): Promise<Fetched> {
  await mkdir(deps.folder, { recursive: true, mode: 0o700 })
  const git = gitIn(deps, await routeTo(source, deps))
  await git.run('init', '--bare', '--quiet', '--template=', '.')
  // The last word on attributes: what a repository leaves out of its own releases is built all the same.
  await mkdir(join(deps.folder, 'info'), { recursive: true })
  await writeFile(join(deps.folder, 'info/attributes'), '* -export-ignore -export-subst\n')
  await requireGit(git, source)
  const { url, found } = await fetchInto(git, source, deps)
  const sha = (await git.run('rev-parse', '--verify', '--end-of-options', `${found}^{commit}`)).trim()
  const branch = source.revision === undefined ? await defaultBranch(git, url) : found === 'FETCH_HEAD' ? branchIn(deps.folder) : undefined
  const [seconds, ...author] = (await git.run('log', '-1', '--format=%ct%n%an', sha)).trim().split('\n')
  const commit = { sha, author: author.join(' '), at: Number(seconds) * 1_000, ...(branch === undefined ? {} : { branch }) }
  deps.log(`Commit ${sha}${branch === undefined ? '' : ` of ${branch}`} by ${commit.author}`)
  const tree = await treeOf(git, { sha, folder: source.folder })
  if (await git.succeeds('cat-file', '-e', `${sha}:.gitmodules`)) deps.log('Submodules are not fetched: what they hold is not in the source.')
  const archive = join(deps.folder, 'source.tar.gz')
  await git.run('archive', '--format=tar.gz', `--output=${archive}`, tree)
  return { archive, commit }
}

type Git = {
  /** Gives standard output. Throws GitEnded, or what ended the build. */
  run(...args: string[]): Promise<string>
  succeeds(...args: string[]): Promise<boolean>
}

/** Words and variables that lead git to the judged addresses. */
type Route = { readonly config: readonly string[]; readonly env: Readonly<Record<string, string>> }

async function routeTo(source: GitSource, deps: GitDeps): Promise<Route> {
  const isHttps = source.url.startsWith('https:')
  const hasProxy = Object.entries(deps.env).some(([name, value]) => PROXY.test(name) && value !== '')
  // git finds it in its environment, and none for whom it is not used; on a command line its credentials would be shown to the machine.
  if (isHttps && hasProxy) return { config: [], env: {} }
  const addresses = await judgedAddresses(source.host, deps).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause)
    const next = 'Builds fetch from the public internet, and from blocks that the platform was started with: --set git.allow=10.0.0.0/8.'
    throw new BuildFailed('missing_code_repo_access', `${source.url} cannot be fetched: ${why}. ${next}`, { cause })
  })
  if (isHttps)
    return { config: ['-c', `http.curloptResolve=${source.host}:${source.port}:${addresses.map(bracketed).join(',')}`, '-c', 'http.proxy='], env: {} }
  await writeSshFiles(source, { folder: deps.folder, address: addresses[0] ?? source.host, log: deps.log })
  // Read by a shell: names of ours alone, below the folder in which git runs.
  return { config: [], env: { GIT_SSH_COMMAND: 'ssh -F ssh-config', GIT_SSH_VARIANT: 'ssh' } }
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}

async function writeSshFiles(
  { host, port, key }: GitSource,
  { folder, address, log }: { folder: string; address: string; log: GitDeps['log'] },
): Promise<void> {
  const known = key?.knownHosts
  if (known === undefined) log(`The host key of ${host} is taken as it comes: put known_hosts into the secret (--known-hosts-path), and it is compared.`)
  const config = [
    'Host *',
    `  HostName ${address}`,
    // The name by which OpenSSH writes a host down.
    `  HostKeyAlias ${port === 22 ? host : `[${host}]:${port}`}`,
    '  IdentityFile ssh-key',
    '  IdentitiesOnly yes',
    '  IdentityAgent none',
    '  UserKnownHostsFile known-hosts',
    `  StrictHostKeyChecking ${known === undefined ? 'accept-new' : 'yes'}`,
    '  BatchMode yes',
    '  PasswordAuthentication no',
    '  ForwardAgent no',
    '  ConnectTimeout 15',
    '  ServerAliveInterval 15',
    '',
  ]
  const line = (text: string) => (text.endsWith('\n') || text === '' ? text : `${text}\n`)
  const files = { 'ssh-config': config.join('\n'), 'ssh-key': line(key?.privateKey ?? ''), 'known-hosts': line(known ?? '') }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text, { mode: 0o600, flag: 'wx' })
}

function gitIn({ folder, env, signal, log, maxBytes = ARCHIVE_LIMITS.maxBytes }: GitDeps, route: Route): Git {
  const settings = {
    'core.hooksPath': '/dev/null',
    'credential.helper': '',
    'http.followRedirects': 'false',
    'http.lowSpeedLimit': '1',
    'http.lowSpeedTime': '30',
    'submodule.recurse': 'false',
    'gc.auto': '0',
    'maintenance.auto': 'false',
  }
  const config = [...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]), ...route.config]
  const surroundings = {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => KEPT_ENV.test(name))),
    ...route.env,
    HOME: folder,
    LC_ALL: 'C',
    GIT_DIR: folder,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: 'true',
    GIT_ALLOW_PROTOCOL: 'https:ssh',
    GIT_NO_REPLACE_OBJECTS: '1',
  }
  const blocks = String(Math.ceil(maxBytes / 512))
  const start = (args: readonly string[]) => ended([blocks, ...config, ...args], { cwd: folder, env: surroundings, signal })
  return {
    async run(...args) {
      const { code, stdout, stderr } = await start(args)
      if (code === 0) return stdout
      for (const line of stderr.split('\n').filter((text) => text.trim() !== '')) log(line.slice(0, 4_096))
      throw new GitEnded(stderr)
    },
    succeeds: async (...args) => (await start(args)).code === 0,
  }
}

/** git did not do it; what it wrote. */
class GitEnded extends Error {}

type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

function ended(args: readonly string[], { cwd, env, signal }: { cwd: string; env: Record<string, string>; signal: AbortSignal }): Promise<Ended> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    // A group of its own: helpers of git's that wait for the network end with it.
    const child = spawn('sh', ['-c', LIMITED, 'sh', ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    const out = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text: string) => {
        if (out[name].length < 65_536) out[name] += text
      })
    const abort = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      } catch {
        // It has ended already.
      }
    }
    signal.addEventListener('abort', abort, { once: true })
    child.once('error', reject)
    child.once('close', (code, by) => {
      signal.removeEventListener('abort', abort)
      if (signal.aborted) reject(signal.reason as Error)
      else if (code === 127) reject(new BuildFailed('failed', 'git is not on this machine: install it to build from repositories.'))
      else resolve({ code, stdout: out.stdout, stderr: by === null ? out.stderr : `${out.stderr}\ngit was ended by ${by}` })
    })
  })
}

/** Fetches as little as the server lets; gives the URL at which it was, and what the commit is called now. */
async function fetchInto(git: Git, source: GitSource, deps: GitDeps): Promise<{ url: string; found: string }> {
  const { url, revision = 'HEAD' } = source
  const fetch = (...words: string[]) => git.run('fetch', '--quiet', '--no-tags', '--no-recurse-submodules', ...words)
  try {
    await fetch('--depth=1', '--', url, revision)
    return { url, found: 'FETCH_HEAD' }
  } catch (error) {
    if (!(error instanceof GitEnded)) throw error
    if (hasMoved(error.message) && !url.endsWith('.git')) {
      deps.log('The repository is elsewhere: looking for it under its name with .git')
      return await fetchInto(git, { ...source, url: `${url.replace(/\/$/, '')}.git` }, deps)
    }
    // A server need not give a commit by its number, and no short number is one: then everything is fetched, and it is looked for.
    if (!HEX.test(revision) || !isMissing(error.message)) throw error
    await fetch('--', url, '+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*')
    return { url, found: revision }
  }
}

const HEX = /^[0-9a-f]{4,64}$/i
const isMissing = (words: string) => /couldn't find remote ref|not our ref|unadvertised object|no such remote ref|Needed a single revision/i.test(words)
const hasMoved = (words: string) => / error: 30[1278]\b/.test(words)

/** ssh is told by a file of its own. */
async function requireGit(git: Git, { url }: GitSource): Promise<void> {
  if (!url.startsWith('https:')) return
  const found = /(\d+)\.(\d+)/.exec(await git.run('version'))
  const [major, minor] = [Number(found?.[1]), Number(found?.[2])]
  const [least, under] = OLDEST_GIT
  if (major > least || (major === least && minor >= under)) return
  throw new BuildFailed('failed', `git ${major}.${minor} is too old to be told which address to call: install ${OLDEST_GIT.join('.')} or newer.`)
}

function explained({ message: words }: GitEnded, { url, revision = 'HEAD' }: GitSource): BuildFailed {
  const access = (text: string) => new BuildFailed('missing_code_repo_access', `${url}: ${text}`)
  if (isMissing(words)) return new BuildFailed('failed', `${url} has no branch, tag or commit ${revision}: check source_revision.`)
  if (/could not read Username|Authentication failed|error: 40[134]\b|not found|Permission denied|does not appear to be a git/i.test(words))
    return access(
      'there is no such repository, or it is not open to everyone. A private one is fetched by ssh: git@HOST:PATH, with a secret of format ssh_auth as source_secret.',
    )
  if (/Host key verification failed/i.test(words))
    return access('its host key is none of known_hosts in the secret. Ask for the key by another way, and put it there.')
  if (hasMoved(words)) return access('it has moved. Name where it is now.')
  if (/certificate/i.test(words)) return access(`its certificate is not trusted (${lastLine(words)}). Give the platform its roots by GIT_SSL_CAINFO.`)
  if (/File too large|signal 25|SIGXFSZ/i.test(words)) return new BuildFailed('exceeded_ephemeral_storage', `${url} is larger than a source may be.`)
  return access(`it cannot be fetched: ${lastLine(words)}`)
}

function lastLine(words: string): string {
  return words.trim().split('\n').at(-1)?.slice(0, 300) ?? 'no reason given'
}

async function defaultBranch(git: Git, url: string): Promise<string | undefined> {
  return /^ref: refs\/heads\/(\S+)\tHEAD$/m.exec(await git.run('ls-remote', '--symref', '--', url, 'HEAD'))?.[1]
}

/** The branch that was fetched by its name. */
function branchIn(folder: string): string | undefined {
  return /\tbranch '([^']+)' of /.exec(readFileSync(join(folder, 'FETCH_HEAD'), 'utf8').split('\n')[0] ?? '')?.[1]
}

async function treeOf(git: Git, { sha, folder }: { sha: string; folder: string | undefined }): Promise<string> {
  if (folder === undefined) return `${sha}^{tree}`
  const tree = `${sha}:${folder}`
  if ((await git.run('cat-file', '-t', tree).catch(() => '')).trim() === 'tree') return tree
  throw new BuildFailed('failed', `The commit ${sha} has no folder ${folder}: check source_context_dir.`)
}
