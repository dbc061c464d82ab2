import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Command } from './grammar.ts'
import { parse } from './parse.ts'
import { WrongUse } from './wrong-use.ts'

const command: Command = {
  words: ['thing'],
  about: 'for these tests',
  arguments: [
    { name: 'NAME', about: 'its name' },
    { name: 'MORE', about: 'more of them', optional: true, rest: true },
  ],
  flags: [
    { name: 'region', short: 'r', value: 'REGION', about: 'where', oneOf: ['eu-de', 'eu-es'] },
    { name: 'env', short: 'e', value: 'NAME=VALUE', about: 'variables', many: true },
    { name: 'wait', short: 'w', about: 'wait' },
    { name: 'count', value: 'N', about: 'how many' },
  ],
  run: () => Promise.resolve(),
}

test('parse() reads one dash or two, values apart or behind =, flags and words in any order', () => {
  for (const words of [
    ['a', '--region', 'eu-es', '-w'],
    ['-region=eu-es', '--w', 'a'],
    ['--r', 'eu-es', '--wait=true', 'a'],
  ]) {
    const given = parse(command, words)
    assert.deepEqual([given.need('NAME'), given.text('region'), given.is('wait')], ['a', 'eu-es', true])
  }
})

test('parse() keeps every value of a flag that may be repeated, also one that looks like a flag or holds =', () => {
  assert.deepEqual(parse(command, ['a', '-e', 'A=1=2', '--env', '-B']).texts('env'), ['A=1=2', '-B'])
})

test('parse() takes words after -- as they are, and the rest of them for the last argument', () => {
  const given = parse(command, ['a', '--', '--region', 'b'])
  assert.deepEqual(given.texts('MORE'), ['--region', 'b'])
  assert.equal(given.has('region'), false)
})

test('a switch that was not given is unknown, and =false is no', () => {
  assert.equal(parse(command, ['a']).maybe('wait'), undefined)
  assert.equal(parse(command, ['a', '--wait=false']).maybe('wait'), false)
})

test('a switch takes a true or false behind it only where the command takes no words', () => {
  const bare: Command = { ...command, arguments: [] }
  assert.equal(parse(bare, ['--wait', 'false', '--count', '3']).maybe('wait'), false)
  assert.equal(parse(bare, ['--wait', 'true']).maybe('wait'), true)
  const given = parse(command, ['--wait', 'false'])
  assert.deepEqual([given.is('wait'), given.need('NAME')], [true, 'false'])
})

for (const [what, words, says] of [
  ['an unknown option', ['a', '--regoin', 'eu-de'], /no option --regoin here. Did you mean --region\?/],
  ['an option without its value', ['a', '--region'], /--region wants a value/],
  ['a value outside the list', ['a', '-r', 'mars'], /eu-de, eu-es, not mars/],
  ['two values for one option', ['a', '-r', 'eu-de', '-r', 'eu-es'], /twice/],
  ['a missing word', [], /NAME is missing: its name/],
  ['a switch with a value', ['a', '--wait=maybe'], /true or false/],
  ['a NUL in a value', ['a', '-e', 'A=\0'], /NUL/],
] as const)
  test(`parse() refuses ${what} and says what to do`, () => {
    assert.throws(
      () => parse(command, words),
      (error) => error instanceof WrongUse && says.test(error.message),
    )
  })

test('parse() refuses words that nothing asks for', () => {
  assert.throws(() => parse({ ...command, arguments: [] }, ['a', 'b']), /What is "a" "b" for\? The command takes no words/)
})

test('whole() refuses what is no whole number', () => {
  assert.equal(parse(command, ['a', '--count', '12']).whole('count'), 12)
  assert.throws(() => parse(command, ['a', '--count', '1e3']).whole('count'), /whole number/)
})
