import { completionScript } from '../complete.ts'
import type { Command } from '../grammar.ts'
import { WrongUse } from '../wrong-use.ts'

/** Everleaf's own: IBM's program installs its script with the program. */
export const completion: Command = {
  words: ['completion'],
  about: 'a script that completes words in your shell; load it with: source <(ibmcloud completion bash)',
  arguments: [{ name: 'SHELL', about: 'bash, zsh or fish', offered: ['bash', 'zsh', 'fish'] }],
  async run({ screen }, given) {
    const shell = given.need('SHELL')
    if (shell !== 'bash' && shell !== 'zsh' && shell !== 'fish') throw new WrongUse(`There are scripts for bash, zsh and fish, not for ${shell}.`)
    screen.result(completionScript(shell))
  },
}
