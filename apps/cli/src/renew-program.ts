import { existsSync } from 'node:fs'
import type { World } from '@everleaf/world'
import type { Command } from 'commander'
import {
  type CreateOptions,
  createRenewal,
  deleteRenewal,
  type Files,
  listRenewals,
  listText,
  releaseHost,
  rotateRenewal,
  showRenewal,
  verifyRenewal,
} from './commands/renew.ts'
import { findPlatform, WrongUse } from './home.ts'
import { STATUS, type Surroundings } from './program.ts'
import type { ManifestFile } from './renew/manifest.ts'
import type { Place } from './renew/place.ts'
import { openSession } from './session.ts'

type Options = { readonly file?: string; readonly target?: string; readonly json?: boolean; readonly force?: boolean; readonly all?: boolean }
type Outside = { readonly around: Surroundings; readonly world: World; readonly end: (status: number) => void }

const FILE = 'everleaf.yaml'

/** `everleaf renew …`. */
export function addRenewCommands(program: Command, { around, world, end }: Outside): void {
  const { write, terminal } = around
  const renew = program.command('renew').description('certificates that are kept fresh')
  const elsewhere = (command: Command) =>
    command.option('--file <file>', `what is wanted, and where (${FILE})`).option('--target <where>', 'everleaf or ibm: where the pipeline lives')
  const placed = async (options: Options) => await openPlace(options, { around, world, isNeeded: false })
  const session = async () => await openSession(findPlatform(around.home), world)
  elsewhere(renew.command('plan').description('what would be made, in which order, with which smallest rights; nothing is changed'))
    .option('--json', 'one JSON object')
    .action(async (options: Options) => {
      const { planText, planJson, wanted } = await import('./commands/renew-file.ts')
      const opened = await wanted(await openPlace(options, { around, world, isNeeded: true }), around.syncFolder)
      write(options.json === true ? `${JSON.stringify(await planJson(opened))}\n` : await planText(opened, terminal))
    })
  elsewhere(renew.command('apply').description('make it so; what is there stays, and what was interrupted goes on')).action(async (options: Options) => {
    const { applyWanted, wanted } = await import('./commands/renew-file.ts')
    await applyWanted(await wanted(await openPlace(options, { around, world, isNeeded: true }), around.syncFolder), terminal)
  })
  renew
    .command('create <name>')
    .description('keep one certificate fresh, without a file')
    .requiredOption('--host <name>', 'the host that is served with it')
    .option('--port <n>', "where to look for it (the platform's public TLS port)")
    .option('--connect <address[:port]>', 'connect there instead of where the name leads')
    .option('--secret <id|name>', 'a certificate in Secrets Manager')
    .option('--certificate <file>', 'or your own: PEM')
    .option('--key <file>', 'its private key: PEM, not encrypted')
    .option('--intermediate <file>', 'the chain above it: PEM')
    .option('--target <name>', 'Code Engine secret that it is put into (<name>-tls)')
    .option('--app <name>', 'map the host to this app')
    .option('--accept <what...>', 'let through: no-san, ca-leaf, lone-leaf')
    .action(async (name: string, options: CreateOptions) =>
      createRenewal(name, options, { session: await session(), terminal, syncFolder: await around.syncFolder() }),
    )
  elsewhere(renew.command('list').description('what is kept fresh, and how it is'))
    .option('--json')
    .action(async (options: Options) => {
      const listed = await listRenewals((await placed(options)).place)
      write(options.json === true ? `${JSON.stringify(listed)}\n` : `${listText(listed)}\n`)
    })
  elsewhere(renew.command('show [name]').description('every host: what is served, days left, last proof; or one renewal, with all that sync knows'))
    .option('--json', 'the map as one JSON array')
    .action(async (name: string | undefined, options: Options) => {
      const { place } = await placed(options)
      const { mapJson, mapText } = await import('./commands/renew-file.ts')
      if (name !== undefined) write(`${JSON.stringify(await showRenewal(place, name), null, 2)}\n`)
      else write(options.json === true ? `${await mapJson(place)}\n` : await mapText(place, terminal))
    })
  elsewhere(renew.command('rotate <name>').description('write a new version and wait for its proof'))
    .option('--certificate <file>', 'PEM')
    .option('--key <file>', 'PEM, not encrypted')
    .option('--intermediate <file>', 'PEM')
    .action(async (name: string, options: Files & Options) => {
      const proven = await rotateRenewal(name, options, { place: (await placed(options)).place, terminal })
      if (proven) terminal.line(`${name}: ${terminal.green('proven')}`)
      end(proven ? STATUS.done : STATUS.notProven)
    })
  elsewhere(renew.command('verify <name>').description('look from outside: is the current version served?')).action(async (name: string, options: Options) => {
    const { proven, served, wanted } = await verifyRenewal((await placed(options)).place, name)
    terminal.line(
      proven ? `${name}: ${terminal.green('proven')}, ${served} is served` : `${name}: ${terminal.red('not proven')}\n  served  ${served}\n  current ${wanted}`,
    )
    end(proven ? STATUS.done : STATUS.notProven)
  })
  elsewhere(renew.command('sweep').description('let sync compare every renewal with what is in place, and repair what differs; 0 all fresh, 1 not'))
    .option('--json', 'what sync says of each, as one JSON array')
    .action(async (options: Options) => {
      const { sweepAll } = await import('./commands/renew-file.ts')
      end((await sweepAll((await placed(options)).place, { terminal, write, json: options.json === true })) ? STATUS.done : STATUS.notProven)
    })
  elsewhere(renew.command('release <name>').description('confirm that its certificate need not cover a host any more'))
    .requiredOption('--host <name>', 'the host')
    .action(async (name: string, options: Options & { host: string }) => releaseHost(name, options.host, { place: (await placed(options)).place, terminal }))
  elsewhere(renew.command('delete [name]').description('no longer keep one fresh, its secrets stay; or, with --all, remove exactly what was made here'))
    .option('--all', 'everything that apply and create have made, and nothing else')
    .option('-f, --force', 'without asking')
    .action(async (name: string | undefined, options: Options) => {
      if ((name === undefined) === (options.all !== true)) throw new WrongUse('Name one renewal, or give --all to remove everything that was made here.')
      if (name !== undefined && options.force === true) throw new WrongUse('--force goes with --all: taking one renewal out of the list asks nothing.')
      const { place } = await placed(options)
      if (name !== undefined) return deleteRenewal(name, { place, terminal })
      const { deleteAll } = await import('./commands/renew-file.ts')
      end((await deleteAll(place, { terminal, ask: around.ask, force: options.force === true })) ? STATUS.done : STATUS.notProven)
    })
}

/** A place, and the file that says what is wanted there. */
export type Opened = { readonly place: Place; readonly manifest: ManifestFile | undefined; readonly file: string }

/** Opens where the pipeline lives: what the flags say, else the file, else the platform of this home. Throws WrongUse, NotHere. */
async function openPlace({ file, target }: Options, { around, world, isNeeded }: Omit<Outside, 'end'> & { isNeeded: boolean }): Promise<Opened> {
  if (target !== undefined && target !== 'everleaf' && target !== 'ibm') throw new WrongUse(`--target takes everleaf or ibm, not "${target}".`)
  const named = file ?? FILE
  const isWanted = isNeeded || file !== undefined || target === 'ibm' || existsSync(FILE)
  const manifest = isWanted ? (await import('./renew/manifest.ts')).readManifest(named) : undefined
  const { sync, region, project, secretsManager, eventNotifications, target: said } = manifest?.data ?? {}
  const where = {
    ...(region === undefined ? {} : { region }),
    ...(project === undefined ? {} : { project }),
    ...(secretsManager === undefined ? {} : { secretsManager }),
    ...(eventNotifications === undefined ? {} : { eventNotifications }),
    ...(sync?.name === undefined ? {} : { app: sync.name }),
    ...(sync?.visibility === undefined ? {} : { visibility: sync.visibility }),
  }
  if ((target ?? said) !== 'ibm') return { place: await openSession(findPlatform(around.home), world, where), manifest, file: named }
  const { openIbmPlace } = await import('./renew/place.ts')
  return { place: await openIbmPlace(where, around.env, world), manifest, file: named }
}
