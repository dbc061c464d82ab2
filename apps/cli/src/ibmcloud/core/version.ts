import type { Command } from '../grammar.ts'
import { outputFlag, print } from '../output.ts'

/** The version of IBM's program whose grammar this is. */
const GRAMMAR = '2.38.0'

export const version: Command = {
  words: ['version'],
  about: 'which grammar this is',
  flags: [outputFlag()],
  async run({ screen }, given) {
    if (await print(screen, given.text('output'), { version: GRAMMAR, build: 'everleaf' })) return
    screen.result(`ibmcloud ${GRAMMAR} (Everleaf)`)
  },
}
