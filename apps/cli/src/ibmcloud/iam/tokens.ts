import type { Command } from '../grammar.ts'
import { outputFlag, print } from '../output.ts'

const oauth: Command = {
  words: ['oauth-tokens'],
  about: 'the access token of this login; it is a secret',
  flags: [outputFlag()],
  async run({ screen, auth }, given) {
    const token = `Bearer ${(await auth.token()).reveal()}`
    if (await print(screen, given.text('output'), { iam_token: token })) return
    screen.result(`IAM token:  ${token}`)
  },
}

const bearer: Command = {
  words: ['bearer-token'],
  about: 'the access token alone; it is a secret',
  async run({ screen, auth }) {
    screen.result((await auth.token()).reveal())
  },
}

export const tokenCommands: readonly Command[] = [oauth, bearer]
