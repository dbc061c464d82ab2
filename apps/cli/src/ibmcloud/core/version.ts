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

/** Scripts begin with it, so that they run on the newest of IBM's programs. */
export const update: Command = {
  words: ['update'],
  about: 'nothing to do: the command line is updated with Everleaf',
  flags: [{ name: 'force', short: 'f', about: 'without asking' }],
  async run({ screen }) {
    screen.note(`ibmcloud ${GRAMMAR} is part of Everleaf.\nOK`)
  },
}
