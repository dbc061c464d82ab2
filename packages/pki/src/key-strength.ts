import type { PublicKeyFacts } from './algorithms.ts'
import { type Reason, reason } from './reasons.ts'

const MIN_RSA_BITS = 2048
// OpenSSL verifies nothing longer (OPENSSL_RSA_MAX_MODULUS_BITS), and the arithmetic below must stay short.
const MAX_RSA_BITS = 16_384
// The CA/Browser Forum asks for 100 rounds of Fermat's method; more cost next to nothing.
const FERMAT_ROUNDS = 256
// The CA/Browser Forum asks for 752. Larger ones would need a real factorisation, and cost sync's cold start.
const LARGEST_SMALL_PRIME = 1_000

const CURVES = new Set(['P-256', 'P-384', 'P-521'])

/** What is wrong with a public key: length, exponent, modulus, curve, kind. */
export function keyFaults(key: PublicKeyFacts): Reason[] {
  switch (key.kind) {
    case 'rsa':
      return rsaFaults(key)
    case 'ec':
      return CURVES.has(key.curve) ? [] : [reason('unsupported-key', `It is ECDSA on ${key.curve}.`)]
    case 'ed25519':
      return []
    case 'other':
      return [reason('unsupported-key', `It is ${key.name}.`)]
  }
}

function rsaFaults({ bits, modulus, exponent }: Extract<PublicKeyFacts, { kind: 'rsa' }>): Reason[] {
  if (bits > MAX_RSA_BITS) return [reason('oversized-key', `It has ${bits} bits.`)]
  const faults: Reason[] = []
  if (bits < MIN_RSA_BITS) faults.push(reason('weak-rsa-key', `It has ${bits} bits.`))
  if (toBigInt(exponent) !== 65_537n) faults.push(reason('bad-rsa-exponent'))
  const n = toBigInt(modulus)
  if (hasSmallFactor(n)) faults.push(reason('bad-rsa-modulus'))
  else if (hasClosePrimes(n)) faults.push(reason('close-rsa-primes'))
  return faults
}

function toBigInt(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

function hasSmallFactor(n: bigint): boolean {
  return smallPrimeProducts().some(({ product, primes }) => {
    const rest = Number(n % product)
    return primes.some((prime) => rest % prime === 0)
  })
}

interface PrimeProduct {
  readonly product: bigint
  readonly primes: readonly number[]
}
let products: readonly PrimeProduct[] | undefined

// Small primes multiplied together as far as a double is exact: a quarter of the long divisions.
function smallPrimeProducts(): readonly PrimeProduct[] {
  if (products !== undefined) return products
  const made: PrimeProduct[] = []
  let primes: number[] = []
  let product = 1
  for (const prime of primesUpTo(LARGEST_SMALL_PRIME)) {
    if (product * prime > Number.MAX_SAFE_INTEGER) {
      made.push({ product: BigInt(product), primes })
      primes = []
      product = 1
    }
    primes.push(prime)
    product *= prime
  }
  products = [...made, { product: BigInt(product), primes }]
  return products
}

function primesUpTo(limit: number): number[] {
  const composite = new Uint8Array(limit + 1)
  const primes: number[] = []
  for (let n = 2; n <= limit; n++) {
    if (composite[n] === 1) continue
    primes.push(n)
    for (let multiple = n * n; multiple <= limit; multiple += n) composite[multiple] = 1
  }
  return primes
}

// Fermat: n = a² − b² with a just above the root of n, where the primes are close to each other.
function hasClosePrimes(n: bigint): boolean {
  if (n < 2n) return true
  let a = squareRoot(n)
  if (a * a < n) a += 1n
  let square = a * a - n
  for (let round = 0; round < FERMAT_ROUNDS; round++) {
    if (isSquare(square)) return true
    square += 2n * a + 1n
    a += 1n
  }
  return false
}

// Squares leave few remainders: these four moduli let one number in a hundred through to the costly root.
const SQUARE_MODULI = [64, 63, 65, 11] as const
const SQUARE_PRODUCT = BigInt(64 * 63 * 65 * 11)
let remainders: readonly ReadonlySet<number>[] | undefined

/** Made by the first RSA key. */
function squareRemainders(): readonly ReadonlySet<number>[] {
  remainders ??= SQUARE_MODULI.map((modulus) => new Set(Array.from({ length: modulus }, (_, i) => (i * i) % modulus)))
  return remainders
}

function isSquare(value: bigint): boolean {
  const rest = Number(value % SQUARE_PRODUCT)
  const possible = squareRemainders()
  if (!SQUARE_MODULI.every((modulus, i) => possible[i]?.has(rest % modulus))) return false
  const root = squareRoot(value)
  return root * root === value
}

/** The integer part of the square root, by Newton's method from above. */
function squareRoot(value: bigint): bigint {
  if (value < 2n) return value
  let root = 1n << BigInt((value.toString(16).length * 4 + 1) >> 1)
  for (;;) {
    const next = (root + value / root) >> 1n
    if (next >= root) return root
    root = next
  }
}
