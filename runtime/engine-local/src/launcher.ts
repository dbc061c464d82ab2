import { createHash } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { InstanceFailed, type InstanceSpec, type TokenKind } from '@everleaf/engine'
import type { FileSpec, ToHelper } from './protocol.ts'

/**
 * How instances get mounts and a process tree of their own. Three constant sh scripts; what users choose reaches them only as
 * arguments, as environment, and as escaped lines of an fstab.
 *
 * The helper itself lives in a mount namespace whose root is a small tmpfs with the system's folders bound into it:
 *
 * | path                 | what                                                      | instances see it |
 * | -------------------- | --------------------------------------------------------- | ---------------- |
 * | /usr /etc /lib* …    | the machine's                                             | yes              |
 * | /everleaf/node       | the folder of the Node that runs Everleaf                 | yes              |
 * | /everleaf/trust      | trust bundles                                             | yes              |
 * | /app /tmp /home/app  | image, private temp and home                              | their own        |
 * | /dev/shm             | shared memory of one instance                             | their own        |
 * | /run/secrets/…       | compute resource token, service account                   | their own        |
 * | /.e/host             | the machine's real root                                   | no, covered      |
 * | /.e/rw               | the same tmpfs as /, writable, for mount points           | no, covered      |
 * | /.e/i/NAME           | files of one instance, in memory                          | no, covered      |
 * | /.e/dir              | the engine's folder on disk                               | no, covered      |
 */
export const BASE_SCRIPT = `set -e
mount -a -T "$1"
root=$2
shift 2
mkdir -p "$root/.e/rw" "$root/.e/host" "$root/.e/i" "$root/everleaf/empty" "$root/everleaf/cache" "$root/app" "$root/tmp" "$root/home/app" "$root/var/tmp" "$root/run/secrets/codeengine.cloud.ibm.com/compute-resource-token" "$root/run/secrets/kubernetes.io/serviceaccount"
ln -s /run "$root/var/run"
chmod 0700 "$root/.e"
mount --bind "$root" "$root/.e/rw"
mount -o remount,bind,ro "$root"
cd "$root"
pivot_root . .e/host
cd /
exec "$@"`

/** First process of an instance: mounts, limits, then the program with its privileges gone; ends when the program does. */
const INSTANCE_SCRIPT = `mount -a -T "$1" || { echo "everleaf: an instance's mounts failed" >&2; exit 125; }
ulimit -c 0
ulimit -n "$2" 2>/dev/null
if [ -n "$3" ]; then
  ulimit -u "$4" 2>/dev/null || ulimit -p "$4" 2>/dev/null
  user=$3 inner=$5
  shift 5
  setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all sh -c "$inner" sh "$@"
else
  inner=$5
  shift 5
  setpriv --no-new-privs --bounding-set=-all --inh-caps=-all sh -c "$inner" sh "$@"
fi
exit $?`

/**
 * The environment arrives with a prefix, so that no LD_PRELOAD of a user touches what still runs with privileges, and gets its names
 * here. Names are checked to be plain words before they come.
 */
const PROGRAM_SCRIPT = `count=$1
shift
while [ "$count" -gt 0 ]; do
  eval "export $1=\\"\\$E_$1\\""
  unset "E_$1"
  shift
  count=$((count-1))
done
unset count
cd /app
exec "$@"`

export const PROGRAM_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
export const TOKEN_DIRECTORY = '/run/secrets/codeengine.cloud.ibm.com/compute-resource-token'
export const ACCOUNT_DIRECTORY = '/run/secrets/kubernetes.io/serviceaccount'
/** Folders of an instance's own memory that hold a token, in a file of that name. */
const TOKEN_FOLDERS: Readonly<Record<TokenKind, string>> = { 'compute-resource': 'token', 'service-account': 'account' }
/** Where programs are looked for, by the launcher and at the end of an instance's PATH. */
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** Folders of the machine that an instance sees; homes, data and sockets are not among them. */
const SYSTEM_FOLDERS = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'usr', 'opt', 'etc', 'nix', 'gnu', 'snap'] as const
const KERNEL_FOLDERS = ['proc', 'sys', 'dev'] as const
/** As containers have it. */
const SHARED_MEMORY = '64m'
const OPEN_FILES = 16_384
const PROCESSES_PER_COMPONENT = 4096

export type BaseInput = { readonly root: string; readonly directory: string; readonly nodeDirectory: string }

/** The fstab of the helper's own root. */
export function baseFstab({ root, directory, nodeDirectory }: BaseInput): string {
  const at = (path: string) => join(root, path)
  const bind = (from: string, to: string) => line(from, at(to), 'none', 'rbind,X-mount.mkdir')
  return [
    line('tmpfs', root, 'tmpfs', 'mode=0755,size=256m,nosuid,nodev'),
    ...[...SYSTEM_FOLDERS, ...KERNEL_FOLDERS].filter((name) => existsSync(`/${name}`)).map((name) => bind(`/${name}`, name)),
    bind(nodeDirectory, 'everleaf/node'),
    bind(join(directory, 'trust'), 'everleaf/trust'),
    bind(directory, '.e/dir'),
  ].join('')
}

/** The first uid that components get, and how many there are: a billion, so that a thousand components meet once in 2,000 homes. */
const FIRST_UID = 0x4000_0000
const UID_MASK = 0x3fff_ffff

/** The uid a component has as root, stable for its name. */
export function componentUid(workload: string): number {
  return FIRST_UID + (createHash('sha256').update(workload).digest().readUInt32BE() & UID_MASK)
}

export type SandboxInput = {
  readonly spec: InstanceSpec
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Text of its hosts file. */
  readonly hosts: string
  readonly uid: number | undefined
  /** Name of the image's folder in the compile cache. */
  readonly cache: string
}

/** Everything the helper needs to start one instance in a sandbox. */
export function sandboxStart({ spec, command, env, hosts, uid, cache }: SandboxInput): Extract<ToHelper, { type: 'start' }> {
  const memory = `/.e/rw/.e/i/${spec.name}`
  const disk = `/.e/dir/instances/${spec.name}`
  const own = (path: string, mode: number): FileSpec => ({ path, mode, uid })
  const user = planMounts(spec, memory, disk)
  const fstab = [
    line(`/.e/host${spec.image}`, '/app', 'none', 'bind,ro,nosuid,nodev'),
    line(`${disk}/tmp`, '/tmp', 'none', 'bind,nosuid,nodev'),
    line(`${disk}/home`, '/home/app', 'none', 'bind,nosuid,nodev'),
    line(`/.e/dir/cache/${cache}`, '/everleaf/cache', 'none', 'bind,nosuid,nodev,noexec'),
    // The machine's is one for all: a place to meet, and to fill its memory from. Not named tmpfs: mount would take it for the one that is there.
    ...(existsSync('/dev/shm') ? [line('shm', '/dev/shm', 'tmpfs', `mode=1777,size=${SHARED_MEMORY},nosuid,nodev,noexec`)] : []),
    ...(spec.token === undefined ? [] : [line(`${memory}/token`, TOKEN_DIRECTORY, 'none', 'bind,ro,nosuid,nodev,noexec')]),
    ...(spec.serviceAccount === undefined ? [] : [line(`${memory}/account`, ACCOUNT_DIRECTORY, 'none', 'bind,ro,nosuid,nodev,noexec')]),
    ...user.fstab,
    // After the skeletons: one of them may lie over /etc.
    ...(existsSync('/etc/hosts') ? [line(`${memory}/hosts`, '/etc/hosts', 'none', 'bind,ro,nosuid,nodev,noexec')] : []),
    line('/everleaf/empty', '/.e', 'none', 'bind'),
  ]
  const names = Object.keys(env).filter((name) => PROGRAM_NAME.test(name))
  const shared = { path: memory, mode: 0o755, uid: undefined }
  const { token: accountToken = '', namespace = '', ca = '' } = spec.serviceAccount ?? {}
  const account = Object.entries({ token: accountToken, namespace, 'ca.crt': ca }).filter(([, text]) => text !== '')
  return {
    type: 'start',
    id: spec.name,
    directories: [
      shared,
      own(disk, 0o700),
      own(`${disk}/tmp`, 0o700),
      own(`${disk}/home`, 0o700),
      own(`/.e/dir/cache/${cache}`, 0o700),
      own(`${memory}/token`, 0o500),
      own(`${memory}/account`, 0o500),
      ...user.directories,
    ],
    files: [
      { path: `${memory}/fstab`, mode: 0o600, uid: undefined, text: fstab.join('') },
      { path: sandboxHostsFile(spec.name), mode: 0o444, uid: undefined, text: hosts },
      ...(spec.token ? [{ ...own(`${memory}/token/token`, 0o400), text: spec.token }] : []),
      ...account.map(([name, text]) => ({ ...own(`${memory}/account/${name}`, 0o400), text })),
    ],
    file: 'unshare',
    args: [
      ...['--mount', '--mount-proc', '--pid', '--fork', '--kill-child', 'sh', '-c', INSTANCE_SCRIPT, 'sh'],
      ...[`${memory}/fstab`, String(OPEN_FILES), uid === undefined ? '' : String(uid), String(PROCESSES_PER_COMPONENT), PROGRAM_SCRIPT],
      ...[String(names.length), ...names, ...command],
    ],
    env: { PATH: SYSTEM_PATH, ...Object.fromEntries(names.map((name) => [`E_${name}`, env[name] ?? ''])) },
    cwd: '/',
    memoryBytes: spec.memoryBytes,
  }
}

/** Where an instance's token of a kind is rewritten, as the helper sees it. */
export function sandboxTokenFile(name: string, kind: TokenKind): string {
  return `/.e/rw/.e/i/${name}/${TOKEN_FOLDERS[kind]}/token`
}

/** Where its hosts file is rewritten, likewise. */
export function sandboxHostsFile(name: string): string {
  return `/.e/rw/.e/i/${name}/hosts`
}

export function sandboxLeftovers(name: string): string[] {
  return [`/.e/rw/.e/i/${name}`, `/.e/dir/instances/${name}`]
}

/** Text of an instance's hosts file. */
export function hostsFile(spec: Pick<InstanceSpec, 'hosts' | 'name' | 'hostname'>): string {
  const lines = spec.hosts().map(({ address, names }) => `${address}\t${names.join(' ')}\n`)
  return `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\t${spec.hostname ?? spec.name}\n${lines.join('')}`
}

/**
 * Mounts of secrets and config maps. A mount point that is not there is made without touching the machine:
 *
 * | below                            | made                                                     |
 * | -------------------------------- | -------------------------------------------------------- |
 * | a bound folder (/etc, /app, …)   | in a skeleton laid over the nearest folder that is there |
 * | /tmp, /home/app                  | in the instance's own folder                             |
 * | anything else                    | in the tmpfs that is the sandbox's root                  |
 */
function planMounts(spec: InstanceSpec, memory: string, disk: string): { fstab: string[]; directories: FileSpec[] } {
  const overlays = new Map<string, string>()
  const directories: FileSpec[] = []
  const binds: string[] = []
  const make = (path: string) => directories.push({ path, mode: 0o755, uid: undefined })
  for (const { path, directory } of spec.mounts) {
    const target = checkedTarget(path)
    binds.push(line(`/.e/host${directory}`, target, 'none', 'bind,ro,nosuid,nodev,noexec'))
    const under = (folder: string) => target === folder || target.startsWith(`${folder}/`)
    if (under('/tmp')) make(`${disk}${target}`)
    else if (under('/home/app')) make(`${disk}/home${target.slice('/home/app'.length)}`)
    else if (under('/app') || SYSTEM_FOLDERS.some((name) => under(`/${name}`))) {
      const parent = nearestFolder(target, (one) => (under('/app') ? join(spec.image, one.slice('/app'.length)) : one))
      if (parent === target) continue
      const skeleton = overlays.get(parent) ?? `${memory}/over${overlays.size}`
      overlays.set(parent, skeleton)
      make(skeleton)
      make(`${skeleton}${target.slice(parent.length)}`)
    } else make(`/.e/rw${target}`)
  }
  const laid = [...overlays].map(([parent, skeleton]) => line('overlay', parent, 'overlay', `ro,lowerdir=${skeleton}:${parent}`))
  return { fstab: [...laid, ...binds], directories }
}

function checkedTarget(path: string): string {
  const target = posix
    .normalize(path)
    .replace(/\/+$/, '')
    .replace(/^\/var\/run(?=\/|$)/, '/run')
  const kept = [
    '',
    '/proc',
    '/sys',
    '/dev',
    '/.e',
    '/everleaf',
    '/run',
    '/tmp',
    '/home',
    '/home/app',
    '/var',
    '/usr',
    '/etc',
    '/bin',
    '/sbin',
    '/lib',
    '/lib64',
    '/opt',
  ]
  const inside = ['/proc/', '/sys/', '/dev/', '/.e/', '/everleaf/', '/var/run/', `${TOKEN_DIRECTORY}/`, `${ACCOUNT_DIRECTORY}/`]
  const bad = !path.startsWith('/') || path.split('/').includes('..') || /[\0\n,:\\]/.test(path) || kept.includes(target)
  if (bad || inside.some((prefix) => `${target}/`.startsWith(prefix)))
    throw new InstanceFailed('container_create_failed', `nothing can be mounted at ${path}: choose another mount path`)
  return target
}

function nearestFolder(target: string, real: (path: string) => string): string {
  let path = target
  while (!existsSync(real(path))) path = dirname(path)
  if (!statSync(real(path)).isDirectory()) throw new InstanceFailed('container_create_failed', `nothing can be mounted at ${target}: ${path} is a file`)
  return path
}

function line(source: string, target: string, type: string, options: string): string {
  const escape = (text: string) => text.replace(/[\s\\#]/g, (sign) => `\\${sign.charCodeAt(0).toString(8).padStart(3, '0')}`)
  return `${escape(source)} ${escape(target)} ${type} ${escape(options)} 0 0\n`
}
