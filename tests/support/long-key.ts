import { createPrivateKey, generatePrimeSync } from 'node:crypto'

const PRIME_BITS = 512
const EXPONENT = 65_537n

/**
 * A working RSA key of exactly so many bits, PKCS#8 as PEM, within a second. Two primes of 8,192 bits take minutes to find: this one has many short
 * ones, and the arithmetic of RSA holds for them too. Readers of keys and certificates cannot tell it from another.
 */
export function longRsaKey(bits: number): string {
  const primes = primesOf(bits)
  const [p, q] = [primes.slice(0, primes.length / 2), primes.slice(primes.length / 2)].map((half) => ({ value: product(half), order: orderOf(half) }))
  if (p === undefined || q === undefined) throw new Error(`no key of ${bits} bits`)
  const d = inverse(EXPONENT, leastCommonMultiple(p.order, q.order))
  const numbers = { n: p.value * q.value, e: EXPONENT, d, p: p.value, q: q.value, dp: d % p.order, dq: d % q.order, qi: inverse(q.value, p.value) }
  const jwk = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, base64url(value)]))
  return createPrivateKey({ key: { kty: 'RSA', ...jwk }, format: 'jwk' })
    .export({ type: 'pkcs8', format: 'pem' })
    .toString()
}

function primesOf(bits: number): bigint[] {
  const short = Array.from({ length: bits / PRIME_BITS - 1 }, () => prime(PRIME_BITS))
  const rest = bits - bitsOf(product(short))
  // A product has as many bits as both, or one less.
  for (;;) {
    const primes = [...short, prime(rest)]
    if (bitsOf(product(primes)) === bits) return primes
  }
}

function prime(bits: number): bigint {
  for (;;) {
    const found = generatePrimeSync(bits, { bigint: true })
    if (found % EXPONENT !== 1n) return found
  }
}

const product = (numbers: readonly bigint[]) => numbers.reduce((one, other) => one * other, 1n)
const bitsOf = (number: bigint) => number.toString(2).length
const orderOf = (primes: readonly bigint[]) => primes.map((one) => one - 1n).reduce(leastCommonMultiple)

function leastCommonMultiple(one: bigint, other: bigint): bigint {
  let [divisor, rest] = [one, other]
  while (rest !== 0n) [divisor, rest] = [rest, divisor % rest]
  return (one / divisor) * other
}

function inverse(number: bigint, modulus: bigint): bigint {
  let [before, rest] = [modulus, number % modulus]
  let [last, next] = [0n, 1n]
  while (rest !== 0n) {
    const times = before / rest
    ;[before, rest] = [rest, before - times * rest]
    ;[last, next] = [next, last - times * next]
  }
  return ((last % modulus) + modulus) % modulus
}

function base64url(number: bigint): string {
  const hex = number.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url')
}
