import { join } from 'node:path'
import { clockOffsetMs, createWorld, homeFolder } from '@everleaf/world'
import { createPlainHttp } from '@everleaf/world/plain'
import { openOutput } from '../output.ts'
import { EXIT, run } from './run.ts'
import { processScreen } from './screen.ts'
import { WrongUse } from './wrong-use.ts'

const output = openOutput((status) => process.exit(status))

/** The exit status. */
async function main(): Promise<number> {
  try {
    const home = homeFolder(process.env)
    return await run(process.argv.slice(2), {
      world: createWorld({ http: createPlainHttp(), offsetMs: clockOffsetMs(process.env, WrongUse) }),
      env: process.env,
      home,
      stateFile: join(process.env.IBMCLOUD_HOME || join(home, 'cli'), 'ibmcloud.json'),
      screen: (options) => processScreen({ ...options, write: output.write }),
    })
  } catch (error) {
    process.stderr.write(`FAILED\n${error instanceof Error ? error.message : String(error)}\n`)
    return error instanceof WrongUse ? EXIT.wrongUse : EXIT.failed
  }
}

// Not awaited: as one file it is CommonJS, which cannot. Ended, for keep-alive connections would hold the process for their own time.
void main().then(output.end)
