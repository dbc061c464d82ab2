import type { Command } from '../grammar.ts'
import { pathOfService } from '../hosts.ts'
import { facts } from '../table.ts'
import { WrongUse } from '../wrong-use.ts'

const OPTION = { name: 'OPTION', about: 'service-url' }

const set: Command = {
  words: ['config', 'set'],
  about: 'remember the URL of an instance',
  arguments: [OPTION, { name: 'VALUE', about: 'the URL' }],
  async run(context, given) {
    checkOption(given.need('OPTION'))
    const url = given.need('VALUE')
    pathOfService(context, { variable: 'service-url', url })
    context.change({ secretsManagerUrl: url })
    context.screen.note('OK')
  },
}

const get: Command = {
  words: ['config', 'get'],
  about: 'the remembered URL',
  arguments: [OPTION],
  async run(context, given) {
    checkOption(given.need('OPTION'))
    context.screen.result(context.state().secretsManagerUrl ?? '')
  },
}

const unset: Command = {
  words: ['config', 'unset'],
  about: 'forget the URL',
  arguments: [OPTION],
  async run(context, given) {
    checkOption(given.need('OPTION'))
    context.forget('secretsManagerUrl')
    context.screen.note('OK')
  },
}

const list: Command = {
  words: ['config', 'list'],
  about: 'what is remembered',
  async run({ screen, state }) {
    screen.result(facts([['service-url', state().secretsManagerUrl ?? '']]))
  },
}

export const configCommands: readonly Command[] = [set, get, unset, list]

function checkOption(option: string): void {
  if (option !== 'service-url') throw new WrongUse(`The only option is service-url, not ${option}.`)
}
