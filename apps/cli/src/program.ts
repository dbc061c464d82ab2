import { clockOffsetMs, createWorld, type World } from '@everleaf/world'
import { Command, CommanderError } from 'commander'
import { type DemoOptions, demo } from './commands/demo.ts'
import type { ExplainOptions } from './commands/explain.ts'
import { doctor, hosts, status, trust, writeHosts } from './commands/info.ts'
import { rotateRootKey, rotateSigningKeys } from './commands/keys.ts'
import { exports, openShell, shellOf } from './commands/shell.ts'
import { endpoints } from './endpoints.ts'
import { findPlatform, NotHere, WrongUse } from './home.ts'
import { addRenewCommands } from './renew-program.ts'
import { openSession } from './session.ts'
import type { Terminal } from './terminal.ts'

/** What the process gives to the command line. */
export type Surroundings = {
  readonly home: string
  readonly write: (text: string) => void
  readonly terminal: Terminal
  readonly env: NodeJS.ProcessEnv
  readonly platform: readonly string[]
  readonly siteFolder: string
  /** Where Everleaf is installed. */
  readonly root: string
  /** Where sync's bundle lies; built first when it is not there. */
  readonly syncFolder: () => Promise<string>
  readonly interrupted: Promise<void>
  /** A yes or no from the person at the terminal; undefined where there is none. */
  readonly ask: (question: string) => Promise<boolean | undefined>
}

export const STATUS = { done: 0, notProven: 1, wrongUse: 2, machine: 3 } as const

/** Reads the words, does the work, gives the exit status. */
export async function run(argv: readonly string[], around: Surroundings): Promise<{ status: number; problem?: string }> {
  const result = { status: STATUS.done as number }
  try {
    const program = commands(around, createWorld({ offsetMs: clockOffsetMs(around.env, WrongUse) }), (status) => {
      result.status = status
    })
    await program.parseAsync([...argv], { from: 'user' })
    return result
  } catch (error) {
    if (error instanceof CommanderError) return { status: error.exitCode === 0 ? STATUS.done : STATUS.wrongUse }
    if (error instanceof WrongUse) return { status: STATUS.wrongUse, problem: error.message }
    if (error instanceof NotHere) return { status: STATUS.machine, problem: error.message }
    return { status: STATUS.notProven, problem: error instanceof Error ? describe(error) : String(error) }
  }
}

function describe(error: Error): string {
  return error.cause instanceof Error && !error.message.includes(error.cause.message) ? `${error.message}\n(${error.cause.message})` : error.message
}

function commands(around: Surroundings, world: World, end: (status: number) => void): Command {
  const { write, terminal, home } = around
  const program = new Command('everleaf')
    .description('Keeps TLS certificates fresh, and is the small cloud in which that happens.')
    .enablePositionalOptions()
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError('See: everleaf --help')
    .configureOutput({ writeOut: write })
    // bin/everleaf starts these before this file is read.
    .addHelpText(
      'after',
      "\nIBM Cloud's command line (the same as ibmcloud …, see `ibmcloud --help`):\n  ce, sm, en, iam, resource, cos   such as everleaf ce app list",
    )

  const ports = (command: Command) =>
    command
      .option('--port <n>', 'public TLS (8443)')
      .option('--private-port <n>', 'private TLS (8444)')
      .option('--http-port <n>', 'plain HTTP (8080)')
      .option('--api-port <n>', "every API by path, this machine only (4580); 0 takes any free port, the last run's if it can")
      .option('--listen <address>', 'address of the TLS and HTTP listeners; TLS is served on 127.0.0.1 too (127.0.0.1)')
      .option('--set <name=value>', 'a setting of the platform, see `everleaf up --help`', (value: string, all: string[] = []) => [...all, value])
  ports(program.command('demo').description('start everything, rotate a certificate, and prove that it is served'))
    .option('--once', 'end after the proof')
    .option('--json', 'the last line is one JSON object')
    .action(async (options: Record<string, string | boolean | string[] | undefined>) => {
      const settings: DemoOptions = {
        home,
        once: options.once === true,
        json: options.json === true,
        args: platformArgs(options),
        platform: around.platform,
        env: around.env,
        siteFolder: around.siteFolder,
        syncFolder: around.syncFolder,
        write,
        terminal,
        interrupted: around.interrupted,
      }
      end(await demo(settings, world))
    })
  program.command('up').description('start the platform alone (everleaf up --help)')
  program
    .command('status')
    .description('how the platform is')
    .option('--json')
    .action(async ({ json }: { json?: boolean }) => write(await status(findPlatform(home), json === true)))
  program
    .command('env')
    .description('endpoints, keys and trust for every official client, as shell lines')
    .option('--json', 'one flat object of strings')
    .option('--shell <name>', 'bash, zsh or fish (that of SHELL)')
    .action(({ json, shell }: { json?: boolean; shell?: string }) => {
      if (json === true && shell !== undefined) throw new WrongUse('--json and --shell contradict each other.')
      const found = findPlatform(home)
      write(json === true ? `${JSON.stringify(endpoints(found))}\n` : exports(found, shellOf(shell, around.env)))
    })
  program
    .command('shell [command...]')
    .description(
      'a shell in which `ibmcloud` is ours and logged in, and every IBM client finds the platform; or one command in it. Its history is in the home, not in yours',
    )
    .option('--shell <name>', 'bash, zsh or fish (that of SHELL)')
    .passThroughOptions()
    .action(async (command: string[], { shell }: { shell?: string }) =>
      end(await openShell({ found: findPlatform(home), root: around.root, env: around.env, shell: shellOf(shell, around.env), command })),
    )
  program
    .command('hosts')
    .description('lines for a hosts file, for programs with fixed host names')
    .option('--write [file]', 'put them into it, in place of those written before (/etc/hosts)')
    .option('--remove [file]', 'take them out again (/etc/hosts)')
    .action(async ({ write: into, remove }: { write?: string | true; remove?: string | true }) => {
      const fileOf = (option: string | true) => (option === true ? '/etc/hosts' : option)
      if (into !== undefined && remove !== undefined) throw new WrongUse('--write and --remove contradict each other.')
      if (remove !== undefined) return writeHosts('', fileOf(remove))
      const lines = await hosts(findPlatform(home))
      if (into === undefined) return write(lines)
      writeHosts(lines, fileOf(into))
      terminal.line(`The names are in ${fileOf(into)}. Take them out with: everleaf hosts --remove${into === true ? '' : ` ${into}`}`)
    })
  program
    .command('trust')
    .description("the platform's certificate authority, as PEM")
    .action(() => write(trust(findPlatform(home))))
  program
    .command('doctor')
    .description('what works on this machine, and what to do about the rest')
    .action(async () => end((await doctor(findPlatform(home), terminal)) ? STATUS.done : STATUS.machine))

  program
    .command('keys')
    .description('the keys behind everything')
    .command('rotate')
    .description('new keys sign tokens from now on')
    .option('--root', 'replace the root key instead, under which everything is sealed; while no platform runs')
    .action(async ({ root }: { root?: boolean }) => {
      if (root === true) return end(await rotateRootKey({ platform: around.platform, env: { ...around.env, EVERLEAF_HOME: home } }))
      write(await rotateSigningKeys(findPlatform(home)))
    })

  const iam = program.command('iam').description('who may do what')
  iam
    .command('explain')
    .description('which link, claim, policy or role allows or refuses; without a question, why the last refusals were. 0 allowed, 1 refused, 2 wrong use')
    .option('--identity <iam-id>', 'who asks, by IAM id')
    .option('--profile <name>', 'who asks: a trusted profile …')
    .option('--app <name>', '… as this app')
    .option('--job <name>', '… as this job')
    .option('--project <name>', "the app's or job's project (the platform's own)")
    .option('--action <action>', 'the IAM action, such as secrets-manager.secret.read')
    .option('--on <crn>', 'the resource: CRN of an instance, or of a bucket or secret group in it')
    .option('--last <n>', 'how many refusals (10)')
    .option('--json', 'one line of JSON')
    .action(async ({ project, ...options }: ExplainOptions & { readonly project?: string }) => {
      const { explainAccess } = await import('./commands/explain.ts')
      const session = await openSession(findPlatform(home), world, project === undefined ? {} : { project })
      end((await explainAccess(options, { session, terminal, write })) ? STATUS.done : STATUS.notProven)
    })

  // Its words are its own (certificate/words.ts): it starts without this file too.
  program
    .command('certificate [words...]')
    .description('certificates in files and as they are served: everleaf certificate --help')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (words: string[]) => {
      const { runCertificate } = await import('./certificate/program.ts')
      end((await runCertificate(words, { world, terminal, write, home })) ? STATUS.done : STATUS.notProven)
    })

  addRenewCommands(program, { around, world, end })
  return program
}

function platformArgs(options: Record<string, string | boolean | string[] | undefined>): string[] {
  const flags = { port: '--port', privatePort: '--private-port', httpPort: '--http-port', apiPort: '--api-port', listen: '--listen' }
  const single = Object.entries(flags).flatMap(([name, flag]) => (typeof options[name] === 'string' ? [flag, options[name]] : []))
  const settings = Array.isArray(options.set) ? options.set.flatMap((value) => ['--set', value]) : []
  return [...single, ...settings]
}
