import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { typeAgainstFarSide } from './typed.ts'

// A key that nobody saw must not stay: what is made for a file is made where the file can be had, and taken back where it cannot be written.

const { folder, far, type } = typeAgainstFarSide()
const asked: string[] = []
const KEY = { id: 'ApiKey-1', name: 'ak', apikey: 'once' }

function answersKeys({ onMake = () => {}, status = 201 }: { onMake?: () => void; status?: number } = {}): void {
  asked.length = 0
  far.answer = (response, { method, url = '' }) => {
    asked.push(`${method} ${url.split('?')[0]}`)
    if (method === 'GET') return response.end(JSON.stringify({ serviceids: [{ id: 'ServiceId-1', iam_id: 'iam-ServiceId-1', name: 'robot' }] }))
    if (method === 'DELETE') return response.writeHead(204).end()
    onMake()
    return response.writeHead(status).end(JSON.stringify(status < 300 ? KEY : { errors: [{ code: 'x', message: 'It is refused.' }] }))
  }
}

/** Files of this process end at 0 bytes until it is undone, as on a full disk. */
function fullDisk(): { [Symbol.dispose](): void } {
  const limit = (size: string) => execFileSync('prlimit', [`--fsize=${size}`, '--pid', String(process.pid)])
  const ignore = () => {}
  process.on('SIGXFSZ', ignore)
  limit('0:unlimited')
  return {
    [Symbol.dispose]() {
      limit('unlimited')
      process.off('SIGXFSZ', ignore)
    },
  }
}

for (const words of [
  ['iam', 'api-key-create', 'ak'],
  ['iam', 'service-api-key-create', 'ak', 'robot'],
]) {
  const command = words[1] ?? ''
  test(`${command} makes no key where its file cannot be made, and writes none over`, async () => {
    const there = join(folder, `${command}-there.json`)
    writeFileSync(there, 'mine')
    for (const file of [join(folder, 'none', 'k.json'), there]) {
      answersKeys()
      const { status, err } = await type([...words, '--file', file])
      assert.equal(status, 1)
      assert.match(err, /No API key was made\.\nName another file\./)
      assert.deepEqual(
        asked.filter((line) => !line.startsWith('GET')),
        [],
      )
    }
    assert.equal(readFileSync(there, 'utf8'), 'mine')
  })

  test(`${command} leaves no file where the key is refused`, async () => {
    const file = join(folder, `${command}-refused.json`)
    answersKeys({ status: 409 })
    assert.equal((await type([...words, '--file', file])).status, 1)
    assert.equal(existsSync(file), false)
  })

  test(`${command} deletes the key again that it could not write down`, { skip: process.platform !== 'linux' && 'only Linux has prlimit' }, async () => {
    const file = join(folder, `${command}-full.json`)
    let disk: Disposable | undefined
    answersKeys({ onMake: () => (disk = fullDisk()) })
    const { status, err } = await type([...words, '--file', file]).finally(() => disk?.[Symbol.dispose]())
    assert.equal(status, 1)
    assert.match(err, /cannot be written \(EFBIG.*so the API key was deleted again/)
    assert.ok(!err.includes(KEY.apikey))
    assert.equal(asked.at(-1), 'DELETE /iam/v1/apikeys/ApiKey-1')
    assert.equal(existsSync(file), false)
  })

  test(`${command} writes the key for its owner alone`, async () => {
    const file = join(folder, `${command}.json`)
    answersKeys()
    const { status, out } = await type([...words, '--file', file])
    assert.equal(status, 0)
    assert.ok(!out.includes(KEY.apikey))
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), KEY)
  })
}
