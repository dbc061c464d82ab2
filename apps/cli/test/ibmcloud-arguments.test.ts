import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { allFamilies } from '../src/ibmcloud/families.ts'
import type { Command, Family, Flag } from '../src/ibmcloud/grammar.ts'
import { type Answer, typeAgainstFarSide } from './typed.ts'

// Every command of the table with missing, extra, unknown and hostile words, in one process, against a far side that refuses, breaks or hangs up.

const { folder, inside, seen, far, type } = typeAgainstFarSide()

const FAR_SIDES: Readonly<Record<string, Answer>> = {
  'says that it is not there': (response) => response.writeHead(404).end('{"errors":[{"code":"not_found","message":"It is not there."}]}'),
  breaks: (response) => response.writeHead(500, { 'content-type': 'text/html' }).end('<html><body>at Object.<anonymous> (/srv/app.js:1:1)</body></html>'),
  'hangs up': (response) => response.destroy(),
}

function check(words: readonly string[], { status, err }: Awaited<ReturnType<typeof type>>, secret?: string): void {
  const typed = JSON.stringify(words.map((word) => (word.length > 60 ? `${word.slice(0, 60)}…` : word)))
  assert.ok([0, 1, 2].includes(status), `${typed} ended with ${status}`)
  if (status === 0) return
  const said = err.split('\n').filter((line) => line === 'FAILED' || line === 'Incorrect Usage.')
  assert.equal(said.length, 1, `${typed} says: ${err}`)
  assert.ok(err.trim().split('\n').length >= 2, `${typed} does not say why`)
  assert.doesNotMatch(err, /^\s+at .*\d+:\d+|TypeError|Cannot read prop|is not a function|\[object Object\]|\bundefined\b|\bNaN\b/m, typed)
  assert.doesNotMatch(err, /[\u0000-\u0009\u000b-\u001f\u007f]/, `${typed} moves the cursor`)
  assert.ok(err.length < 2_500, `${typed} says ${err.length} letters`)
  if (secret !== undefined) assert.ok(!err.includes(secret), `${typed} shows a secret: ${err}`)
}

const commands: { family: Family; command: Command; words: string[] }[] = (await allFamilies()).flatMap((family) =>
  family.commands.map((command) => ({ family, command, words: [...(family.name === '' ? [] : [family.name]), ...command.words] })),
)
const required = ({ flags = [], arguments: wanted = [] }: Command): { flags: readonly Flag[]; count: number } => ({
  flags: flags.filter((flag) => flag.required === true),
  count: wanted.filter(({ optional }) => optional !== true).length,
})
const hasForce = ({ flags = [] }: Command) => flags.some(({ name }) => name === 'force')

/** What fills every place that must be filled; choices keep their first one, so that the command gets further. */
function filled(command: Command, value: string): string[] {
  const { flags, count } = required(command)
  return [
    ...Array.from({ length: count }, () => value),
    ...flags.flatMap((flag) => [`--${flag.name}`, flag.oneOf?.[0] ?? value]),
    ...(hasForce(command) ? ['--force'] : []),
  ]
}

test('the table holds the commands of all families', () => {
  assert.ok(commands.length > 200, `${commands.length} commands`)
})

test('every command without what it needs is wrong use, and says what is missing', async () => {
  far.answer = FAR_SIDES['says that it is not there'] ?? far.answer
  for (const { command, words } of commands) {
    const result = await type(words)
    check(words, result)
    const { flags, count } = required(command)
    if (flags.length + count === 0) continue
    assert.equal(result.status, 2, words.join(' '))
    assert.match(result.err, /is missing|must be given/, words.join(' '))
  }
})

test('every command with a word or an option too many is wrong use, and names it', async () => {
  for (const { command, words } of commands) {
    const fill = filled(command, 'x')
    const optional = (command.arguments ?? []).filter((argument) => argument.optional === true).map(() => 'y')
    if (!(command.arguments ?? []).some(({ rest }) => rest === true)) {
      const typed = [...words, ...fill, ...optional, 'one-too-many']
      const result = await type(typed)
      check(typed, result)
      assert.equal(result.status, 2, typed.join(' '))
      assert.match(result.err, /"one-too-many"/, typed.join(' '))
    }
    for (const option of ['--no-such-option', '--no-such-option=1', '-Z']) {
      const typed = [...words, ...fill, option]
      const result = await type(typed)
      check(typed, result)
      assert.equal(result.status, 2, typed.join(' '))
      assert.match(result.err, /There is no option/, typed.join(' '))
    }
  }
})

test('every option that takes a value wants one, and takes no two different ones', async () => {
  for (const { command, words } of commands)
    for (const flag of command.flags ?? []) {
      const typed = flag.value === undefined ? [...words, `--${flag.name}=perhaps`] : [...words, `--${flag.name}`]
      const result = await type(typed)
      check(typed, result)
      assert.equal(result.status, 2, typed.join(' '))
      if (flag.value === undefined || flag.many === true || flag.oneOf !== undefined || flag.check !== undefined || flag.absent !== undefined) continue
      const twice = [...words, `--${flag.name}`, 'a', `--${flag.name}`, 'b']
      const second = await type(twice)
      assert.equal(second.status, 2, twice.join(' '))
      assert.match(second.err, /given twice/, twice.join(' '))
    }
})

const HOSTILE = [
  '../x',
  '..',
  '',
  ' ',
  'a\nb',
  '\u001b[2J\u0007',
  `$(touch ${join(folder, 'made')})`,
  '`id`',
  "'; --",
  '%2e%2e%2f',
  '__proto__',
  '{"a":',
  '[]',
  '@',
  '@/no/such/file',
  '-1',
  '99999999999999999999',
  '💥',
  'x'.repeat(10_000),
  'crn:v1:::::::::',
  '@../x',
]

for (const [how, side] of Object.entries(FAR_SIDES))
  test(`every command with hostile words ends with one clear failure where the far side ${how}`, { timeout: 300_000 }, async () => {
    far.answer = side
    for (const { command, words } of commands)
      for (const value of side === FAR_SIDES['says that it is not there'] ? HOSTILE : HOSTILE.slice(0, 6)) {
        const typed = [...words, ...filled(command, value)]
        check(typed, await type(typed))
      }
    assert.deepEqual(
      seen.filter((url) => /\/\.\.?(\/|\?|$)|\s/.test(url)),
      [],
      'a value changed the shape of a path',
    )
  })

for (const words of [
  ['bucket-delete', '--bucket', '..', '-f'],
  ['object-delete', '--bucket', '..', '--key', 'codeengine/v2/projects/p', '-f'],
  ['object-get', '--bucket', 'b', '--key', 'a/../../../iam/v1/apikeys'],
  ['object-copy', '--bucket', 'b', '--key', 'k', '--copy-source', '../x'],
])
  test(`cos ${words.join(' ')} leads to no other place`, async () => {
    seen.length = 0
    const result = await type(['cos', ...words])
    check(words, result)
    assert.equal(result.status, 2)
    assert.deepEqual(seen, [])
  })

test('every single option with hostile values ends with one clear failure', { timeout: 300_000 }, async () => {
  far.answer = FAR_SIDES['says that it is not there'] ?? far.answer
  for (const { command, words } of commands)
    for (const flag of command.flags ?? []) {
      if (flag.value === undefined || flag.required === true) continue
      for (const value of ['../x', '', 'a\nb', '\u001b[2J', '{"a":', '@/no/such/file', '-1', 'x'.repeat(10_000)]) {
        const typed = [...words, ...filled(command, 'name'), `--${flag.name}=${value}`]
        check(typed, await type(typed))
      }
    }
})

const WAITING: readonly string[] = ['wait', 'follow', 'build-source']

test('every command that waits says what to do when the platform goes away meanwhile', { timeout: 120_000 }, async () => {
  writeFileSync(join(inside, 'index.js'), '')
  // What is deleted is gone at once, and a job is there at once: with `--wait` it waits for its build, which --build-source tries.
  const isAtOnce = ({ words: [noun, verb] }: Command, flag: string) => flag === 'wait' && (verb === 'delete' || (noun === 'job' && verb !== 'submit'))
  const waits = (command: Command) => (command.flags ?? []).filter(({ name }) => WAITING.includes(name) && !isAtOnce(command, name))
  const waiters = commands.filter(({ command }) => waits(command).length > 0)
  assert.ok(waiters.length >= 9, `${waiters.length} commands wait`)
  for (const { command, words } of waiters)
    for (const flag of waits(command)) {
      let left = 9
      const going = { name: 'x', id: 'x', entity_tag: '1', status: 'deploying', status_details: {}, resources: [], region_id: 'eu-de', resource_group_id: 'g' }
      far.answer = (response) => (left-- > 0 ? response.end(JSON.stringify(going)) : response.destroy())
      const runs = command.words[0] === 'buildrun' ? ['build'] : flag.name === 'build-source' ? [] : ['image']
      const useful = ['name', 'jobrun', 'application', 'buildrun', 'revision', ...runs]
      const given = (command.flags ?? [])
        .filter(({ name, required: must }) => must === true || useful.includes(name))
        .flatMap(({ name }) => [`--${name}`, name === 'revision' ? 'x-00001' : 'x'])
      const change = command.words.at(-1) === 'update' ? ['--env', 'A=B'] : []
      const typed = [...words, ...given, ...change, ...(flag.name === 'build-source' ? ['--build-source', '.'] : [`--${flag.name}`])]
      const result = await type(typed)
      check(typed, result)
      assert.equal(result.status, 1, `${typed.join(' ')}: ${result.out}${result.err}`)
      assert.match(result.err, /does not answer any more[\s\S]*everleaf status\nThen see how it went with: ibmcloud ce /, typed.join(' '))
    }
})

test('a wait says how it goes, when that changes and every ten seconds', async () => {
  const states = [...Array.from({ length: 3 }, () => 'pending'), ...Array.from({ length: 25 }, () => 'running'), 'succeeded']
  far.answer = (response) => response.end(JSON.stringify({ name: 'x', id: 'x', entity_tag: '1', status: states.length > 1 ? states.shift() : states[0] }))
  const { status, out } = await type(['ce', 'buildrun', 'submit', '--build', 'b', '--name', 'x', '--wait'])
  assert.equal(status, 0)
  assert.match(out, /^ {2}pending\n {2}running after \d s\n {2}running after 1\d s\n {2}running after 2\d s\nOK/m)
})

const SECRET = /^(apikey|cr-token|from-literal|password|.*payload|.*-data|secret-prototype|.*token.*|certificate|private-key|env)$/

test('no option whose value may be a secret shows it in a failure', async () => {
  let looked = 0
  for (const [how, side] of Object.entries(FAR_SIDES)) {
    far.answer = side
    for (const { command, words } of commands)
      for (const flag of command.flags ?? []) {
        if (flag.value === undefined || !SECRET.test(flag.name)) continue
        looked++
        for (const value of ['hunter2-hunter2', 'K=hunter2-hunter2', '{"payload": hunter2-hunter2', '{"payload":"hunter2-hunter2"}']) {
          const typed = [...words, ...filled(command, 'name').filter((word) => !word.startsWith(`--${flag.name}`)), `--${flag.name}`, value]
          const result = await type(typed)
          check([...typed.slice(0, -1), how], result, 'hunter2')
        }
      }
  }
  assert.ok(looked > 20, `${looked} options`)
})
