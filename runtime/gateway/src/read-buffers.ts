/** A socket of the system's holds little less: one read takes all that waits, where node reads 64 KiB. */
const READ_BYTES = 256 * 1024
/** Buffers that wait for their next use. */
const MAX_FREE = 8

/** What connections of one kind are read into: each has a buffer, and gets another one while parts of its own are being written elsewhere. */
export class ReadBuffers {
  readonly #free: Buffer[] = []

  open(): KeptBuffer {
    return new KeptBuffer({
      take: () => this.#free.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES),
      giveBack: (buffer) => {
        if (this.#free.length < MAX_FREE) this.#free.push(buffer)
      },
    })
  }
}

type Source = { readonly take: () => Buffer; readonly giveBack: (buffer: Buffer) => void }
type Used = { readonly buffer: Buffer; uses: number }

/** The buffer of one connection. */
export class KeptBuffer {
  readonly #source: Source
  #current: Used | undefined

  constructor(source: Source) {
    this.#source = source
  }

  /** Where the next read goes: the same one again, unless some of it is still looked at. */
  readonly next = (): Buffer => {
    if (this.#current === undefined || this.#current.uses > 0) this.#current = { buffer: this.#source.take(), uses: 0 }
    return this.#current.buffer
  }

  /** Some of the current one is looked at until what this gives is called. After an error it is left to the engine: somebody may look on. */
  keep(): (error?: Error | null) => void {
    const used = this.#current
    if (used === undefined) return () => {}
    used.uses++
    return (error) => {
      if (error) return
      used.uses--
      if (used.uses === 0 && used !== this.#current) this.#source.giveBack(used.buffer)
    }
  }
}
