import type { World } from '@everleaf/world'
import { WrongUse } from '../home.ts'
import { suggest } from '../ibmcloud/suggest.ts'
import type { Terminal } from '../terminal.ts'
import { type Grammar, helpOf, readWords, type Words } from './words.ts'

export interface Around {
  readonly world: World
  readonly terminal: Terminal
  readonly write: (text: string) => void
  /** Where a platform is looked for. */
  readonly home: string
}

interface Command extends Grammar {
  /** True: fit. */
  readonly run: (words: Words, around: Around) => Promise<boolean>
}

const COMMANDS: Readonly<Record<string, Command>> = {
  check: {
    usage: 'check [options] FILE…\n       everleaf certificate check --url HOST[:PORT] [options] [FILE…]',
    about:
      'What is in PEM files, or what a server serves, what is wrong with it for a TLS server, and how to mend it. With both, whether what is served\nis what is in the file. Needs no platform. Exit status: 0 fit, 1 unfit, 2 wrong use.',
    options: {
      url: { kind: 'value', value: 'host[:port]', about: 'look at what is served there: over IPv4 and IPv6, by TLS 1.2 and 1.3 each' },
      connect: { kind: 'list', value: 'address[:port]', about: 'with --url: look there instead of where DNS says; may be repeated' },
      timeout: { kind: 'value', value: 'seconds', about: 'with --url: how long each look may take (5)' },
      key: { kind: 'value', value: 'file', about: 'the private key of the files: PEM, not encrypted' },
      host: { kind: 'list', value: 'name', about: 'a host that is served with it; may be repeated' },
      trust: { kind: 'value', value: 'public|file', about: 'the roots that it must lead to' },
      at: { kind: 'value', value: 'time', about: 'judge it at this time, ISO 8601' },
      fix: { kind: 'value', value: 'out', about: 'write the ordered chain of the files there' },
      json: { kind: 'flag', about: 'one JSON object' },
    },
    async run(words, around) {
      const { checkCertificate } = await import('./check.ts')
      const values = valuesOf(words, ['url', 'timeout', 'key', 'trust', 'at', 'fix'])
      return checkCertificate(words.operands, { ...values, connect: words.list('connect'), host: words.list('host'), json: words.flag('json') }, around)
    },
  },
  readiness: {
    usage: 'readiness [options] [HOST[:PORT]…]',
    about:
      'How ready certificates are for shorter lives: what is left, when each is due, what weakens it; of hosts, of files, or of all secrets of the running\nplatform where none is named. Exit status: 0 all well and none due, 1 not, 2 wrong use, 3 no platform.',
    options: {
      file: { kind: 'list', value: 'file', about: 'a PEM file; may be repeated' },
      trust: { kind: 'value', value: 'public|file', about: 'the roots that each must lead to' },
      at: { kind: 'value', value: 'time', about: 'judge at this time, ISO 8601' },
      timeout: { kind: 'value', value: 'seconds', about: 'how long each look at a host may take (5)' },
      ari: { kind: 'value', value: 'url', about: "ask the issuer's ACME directory when to renew (RFC 9773); otherwise it is not asked" },
      svg: { kind: 'value', value: 'file', about: 'write a timeline there' },
      json: { kind: 'flag', about: 'one JSON object' },
    },
    async run(words, around) {
      const { showReadiness } = await import('./readiness.ts')
      const values = valuesOf(words, ['trust', 'at', 'timeout', 'ari', 'svg'])
      return showReadiness(words.operands, { ...values, file: words.list('file'), json: words.flag('json') }, around)
    },
  },
  explain: {
    usage: 'explain [--json] [CODE…]',
    about: 'What a word of check means, why it matters, and how it is mended; without one, all of them.',
    options: { json: { kind: 'flag', about: 'a list of JSON objects' } },
    async run(words, { terminal, write }) {
      const { explainCodes } = await import('./explain.ts')
      explainCodes(words.operands, { json: words.flag('json'), terminal, write })
      return true
    },
  },
}

/** Those of these options that were given. */
function valuesOf<Name extends string>(words: Words, names: readonly Name[]): { readonly [name in Name]?: string } {
  return Object.fromEntries(names.flatMap((name) => (words.value(name) === undefined ? [] : [[name, words.value(name)]]))) as { [name in Name]?: string }
}

/** `everleaf certificate …`: reads the words and does the work. True where what was asked for is fit; throws WrongUse. */
export async function runCertificate(words: readonly string[], around: Around): Promise<boolean> {
  const [name, ...rest] = words
  if (name === undefined || ['help', '--help', '-h'].includes(name)) {
    around.write(overview())
    // As everywhere: help that was asked for is an answer, a command without its word is wrong use.
    if (name === undefined) throw new WrongUse('Say which: everleaf certificate check …')
    return true
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) {
    const near = suggest(name, Object.keys(COMMANDS))
    throw new WrongUse(`There is no command ${name}.${near === undefined ? '' : ` Did you mean ${near}?`}\nSee: everleaf certificate --help`)
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    around.write(helpOf(command))
    return true
  }
  return command.run(readWords(name, command, rest), around)
}

function overview(): string {
  const rows = Object.entries(COMMANDS).map(([name, { about }]) => `  ${name.padEnd(10)}  ${about.split('. ')[0]?.replaceAll('\n', ' ')}.`)
  return ['Usage: everleaf certificate COMMAND …', '', 'Certificates in files and as they are served; needs no platform.', '', ...rows, ''].join('\n')
}
