/** What git is told, and where it leads. */
export type GitUrl = { readonly url: string; readonly host: string; readonly port: number; readonly isSsh: boolean }

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/
const HOST = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i
/** `user@host:path`, as people copy it. */
const SCP = /^([^@:/\s]+)@([^@:/\s]+):(?!\/\/)([^\s]+)$/

/**
 * Reads the URL of a repository: `https://…`, `ssh://[user@]host[:port]/…` or `user@host:path`, and nothing else that git would take
 * (threats-and-faults T85). Gives a sentence that says why not.
 */
export function readGitUrl(text: string): GitUrl | string {
  const scp = SCP.exec(text)
  if (scp !== null) {
    const [, user = '', host = '', path = ''] = scp
    if (!NAME.test(user) || !HOST.test(host) || path.startsWith('-')) return FORMS
    return { url: `${user}@${host.toLowerCase()}:${path}`, host: host.toLowerCase(), port: 22, isSsh: true }
  }
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'ssh:')) return FORMS
  const isSsh = url.protocol === 'ssh:'
  if (url.password !== '' || (url.username !== '' && (!isSsh || !NAME.test(url.username))))
    return 'must hold no user name, password or token: whoever reads the build would read it. A private repository is fetched by ssh, with a secret of format ssh_auth as source_secret'
  if (url.search !== '' || url.hash !== '') return 'must have no query and no fragment: a branch, tag or commit is source_revision'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  // git gives the host of ssh to a program as a word, and curl reads a dot at the end as nothing.
  if (isSsh ? !HOST.test(host) : host.endsWith('.')) return FORMS
  if (url.pathname.length < 2) return FORMS
  return { url: url.href, host, port: Number(url.port) || (isSsh ? 22 : 443), isSsh }
}

const FORMS = 'is not the URL of a repository: https://HOST/PATH, ssh://USER@HOST/PATH or USER@HOST:PATH'

/** What may name a branch, tag or commit (git check-ref-format), and is no option and no refspec. */
export function isRevision(text: string): boolean {
  return /^[A-Za-z0-9_][\w./+@#-]*$/.test(text) && !/\.\.|@\{|\/\/|\.lock(\/|$)|[./]$/.test(text)
}

/** A folder below the root, '' for the root itself; undefined where it leads out. */
export function folderIn(text: string): string | undefined {
  const parts = text.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.some((part) => part === '..' || part === '.git' || /[\0-\x1f]/.test(part))) return undefined
  return parts.join('/')
}
