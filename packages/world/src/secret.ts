// util.inspect.custom, without loading node:util: 9 ms of the start of every command.
const inspected = Symbol.for('nodejs.util.inspect.custom')

/** A value that prints as [redacted] in string, JSON and inspect form; reveal() is the only way to it. */
export class Secret {
  readonly #value: string
  constructor(value: string) {
    this.#value = value
  }
  reveal(): string {
    return this.#value
  }
  toString(): string {
    return '[redacted]'
  }
  toJSON(): string {
    return '[redacted]'
  }
  [inspected](): string {
    return '[redacted]'
  }
}
