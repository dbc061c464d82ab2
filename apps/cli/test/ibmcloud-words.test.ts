import assert from 'node:assert/strict'
import { test } from 'node:test'
import { typeAgainstFarSide } from './typed.ts'

// Which command words lead to, and what is said of those that lead nowhere.

const { seen, far, type } = typeAgainstFarSide()

for (const [typed, meant] of [
  ['ce ap get', 'ibmcloud code-engine app get'],
  ['ce jbo list', 'ibmcloud code-engine job list'],
  ['ce app lst', 'ibmcloud code-engine app list'],
  ['code-enigne app list', 'ibmcloud code-engine'],
  ['ressource groups -q', 'ibmcloud resource'],
  ['-q ce ap list', 'ibmcloud code-engine app list'],
] as const)
  test(`"${typed}" is answered with what may be meant`, async () => {
    const { status, err } = await type(typed.split(' '))
    assert.equal(status, 2)
    assert.equal(err.split('\n').at(-1), `  ${meant}`, err)
  })

test('of words that lead nowhere the first one is blamed, with help that there is', async () => {
  const { status, err } = await type(['ce', 'elsewhere', 'list'])
  assert.equal(status, 2)
  assert.match(err, /^"elsewhere" is not a command of ibmcloud code-engine\.\nSee what is: ibmcloud code-engine --help$/m)
})

test('global switches stand anywhere among the words', async () => {
  far.answer = (response) => response.end('{"resources":[]}')
  for (const typed of ['-q resource groups', 'resource -q groups', '--quiet resource groups --output json', 'resource --quiet=true groups']) {
    seen.length = 0
    assert.equal((await type(typed.split(' '))).status, 0, typed)
    assert.match(seen.at(-1) ?? '', /resource_groups/, typed)
  }
  assert.match((await type(['-h', 'resource', 'groups'])).out, /^Usage: ibmcloud resource groups/m)
  assert.match((await type(['-q'])).out, /^Services:/m)
})

test('an option before the command is complete is wrong use, and not passed over', async () => {
  const { status, err } = await type(['ce', 'app', '--output', 'json', 'list'])
  assert.equal(status, 2)
  assert.match(err, /ibmcloud code-engine app wants a command before --output\.\nSee what is: ibmcloud code-engine app --help$/)
})

test('options of IBM that are not here are refused by name, with what to do instead', async () => {
  for (const [typed, says] of [
    ['sm secrets -j secrets', /does not have -j: pick from --output json/],
    ['en topics --jmes-query=x', /does not have --jmes-query: /],
    ['sm secret-metadata-update --id i --ttl 1h', /does not have --ttl: say when it ends with --expiration-date/],
    ['resource service-key-create k Reader --service-id s', /does not have --service-id: /],
  ] as const) {
    const { status, err } = await type(typed.split(' '))
    assert.equal(status, 2, typed)
    assert.match(err, says, typed)
  }
})

test('a plug-in is built in under the versions that scripts name, and not under one that nobody has', async () => {
  assert.equal((await type(['plugin', 'install', 'en@0.2.0'])).status, 0)
  for (const words of [
    ['code-engine@9.9.9', '-f'],
    ['code-engine', '-v', '1.100'],
  ]) {
    const { status, err } = await type(['plugin', 'install', ...words])
    assert.equal(status, 1)
    assert.match(err, /There is no code-engine [\d.]+ here: 1\.\d+\.\d+ is built in/)
  }
  assert.equal((await type(['plugin', 'update', 'code-engine@newest'])).status, 2)
  assert.match((await type(['plugin', 'list'])).out, /^code-engine\/ce +[\d.]+ +built-in +true$/m)
})
