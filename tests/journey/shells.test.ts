import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { platformForAll } from '../support/for-all.ts'
import { couldNotRun, environment, eventually, finish, freshHome, ROOT, type Running } from '../support/platform.ts'

/* The three shells themselves, at a terminal: what a person sees who types there. */
const place = freshHome()
let platform: Running
platformForAll(place, (running) => {
  platform = running
})
const everleaf = `${process.execPath} ${join(ROOT, 'apps/cli/src/main.ts')}`
const env = { ...environment(place), HOME: place.home, TERM: 'xterm' }
const isThere = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
/** Without what colours and moves the cursor. */
const plain = (text: string) => text.replaceAll(/\x1b(\[[0-9;?<>=]*[A-Za-z]|[\]P][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9]|[=>])/g, '')

for (const shell of ['bash', 'zsh', 'fish']) {
  const lacking = isThere(shell) ? (isThere('script') ? undefined : 'script') : shell
  const missing = (name: string) => couldNotRun(name, `${lacking} is missing: tools/system-packages installs it`)

  test(`everleaf shell: ${shell} has its prompt, completes at Tab, and runs our ibmcloud`, { timeout: 90_000 }, async () => {
    if (lacking !== undefined) return missing(`everleaf shell with ${shell}`)
    const child = spawn('script', ['-qfec', `${everleaf} shell --shell ${shell}`, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'pipe'] })
    let seen = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text))
    const ended = finish(child, 80_000)
    const shows = async (what: string, text: RegExp) => await eventually(`${shell}: ${what}`, () => text.test(plain(seen)), 20_000)
    await shows('its prompt', /\(everleaf\) \S/)
    child.stdin.write('ibmcloud ce jobr\t')
    await shows('the whole word', /ibmcloud ce jobrun |jobr(\x08|\r)?un /)
    child.stdin.write('--help\r')
    await shows('the help', /ibmcloud code-engine jobrun COMMAND --help/)
    child.stdin.write('exit\r')
    assert.equal((await ended).status, 0)
  })

  test(`everleaf env: ${shell} reads it, and clients find the platform`, { timeout: 60_000 }, async () => {
    if (lacking !== undefined) return missing(`everleaf env with ${shell}`)
    const read = shell === 'fish' ? `${everleaf} env --shell fish | source` : `eval "$(${everleaf} env --shell ${shell})"`
    const { status, stdout, stderr } = spawnSync(shell, [...(shell === 'fish' ? ['--no-config'] : []), '-c', `${read}; echo $IAM_IDENTITY_URL`], {
      env,
      encoding: 'utf8',
    })
    assert.deepEqual([status, stdout.trim()], [0, platform.env.IAM_IDENTITY_URL], stderr)
  })
}
