const UNIT: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  K: 1e3,
  M: 1e6,
  MB: 1e6,
  G: 1e9,
  GB: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
}

/** The number that a quantity text means; M and G are decimal, as Code Engine documents. NaN for what is none. */
export function quantity(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+\.?\d*|\.\d+)([a-zA-Z]*)$/.exec(text) ?? []
  return digits === '' ? Number.NaN : Number(digits) * (UNIT[unit] ?? Number.NaN)
}

/** vCPU and the memory in G that may go with it (Code Engine's page of supported combinations). */
const COMBINATIONS: readonly (readonly [number, readonly number[]])[] = [
  [0.125, [0.25, 0.5, 1]],
  [0.25, [0.5, 1, 2]],
  [0.5, [1, 2, 4]],
  [1, [2, 4, 8]],
  [2, [4, 8, 16]],
  [4, [8, 16, 32]],
  [6, [12, 24, 48]],
  [8, [16, 32]],
  [10, [20, 40]],
  [12, [24, 48]],
]

/** What is wrong with an app's sizes, or undefined. Ephemeral storage may be at most the memory, and 400M always. */
export function sizeFault(sizes: { cpu: string; memory: string; ephemeral: string }): string | undefined {
  const cpu = quantity(sizes.cpu)
  const gigabytes = quantity(sizes.memory) / 1e9
  const allowed = COMBINATIONS.find(([known]) => known === cpu)?.[1]
  if (allowed === undefined) return `scale_cpu_limit ${sizes.cpu} is not offered. Take one of ${COMBINATIONS.map(([known]) => known).join(', ')}.`
  if (!allowed.some((known) => Math.abs(known - gigabytes) < 1e-9))
    return `scale_memory_limit ${sizes.memory} does not go with scale_cpu_limit ${sizes.cpu}. Take one of ${allowed.map((known) => `${known}G`).join(', ')}.`
  const storage = quantity(sizes.ephemeral)
  if (!(storage > 0) || storage > Math.max(gigabytes * 1e9, 400e6))
    return `scale_ephemeral_storage_limit ${sizes.ephemeral} must be more than 0 and at most the memory limit, ${sizes.memory}.`
  return undefined
}
