import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quantity, sizeFault } from './sizes.ts'

for (const [text, value] of [
  ['1', 1],
  ['0.125', 0.125],
  ['.5', 0.5],
  ['250m', 0.25],
  ['4G', 4e9],
  ['400M', 400e6],
  ['1Gi', 1_073_741_824],
  ['4X', Number.NaN],
  ['', Number.NaN],
  ['1.2.3', Number.NaN],
] as const) {
  test(`quantity(${text})`, () => assert.equal(quantity(text), value))
}

for (const [cpu, memory, ephemeral, fits] of [
  ['1', '4G', '400M', true],
  ['1', '4000M', '4G', true],
  ['0.125', '250M', '400M', true],
  ['0.125', '2G', '400M', false],
  ['3', '8G', '400M', false],
  ['1', '4G', '4.1G', false],
  ['1', '4G', '0', false],
  ['12', '48G', '48G', true],
] as const) {
  test(`sizeFault(${cpu}, ${memory}, ${ephemeral}) ${fits ? 'has nothing to say' : 'says what is wrong'}`, () =>
    assert.equal(sizeFault({ cpu, memory, ephemeral }) === undefined, fits))
}
