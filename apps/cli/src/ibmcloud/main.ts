import { join } from 'node:path'
import { clockOffsetMs, createWorld, homeFolder } from '@everleaf/world'
import { createPlainHttp } from '@everleaf/world/plain'
import { run } from './run.ts'
import { processScreen } from './screen.ts'
import { WrongUse } from './wrong-use.ts'

// A reader that has seen enough (`| head -1`) closes the pipe: that is no failure.
process.stdout.on('error', () => process.exit(0))
const home = homeFolder(process.env)
process.exitCode = await run(process.argv.slice(2), {
  world: createWorld({ http: createPlainHttp(), offsetMs: clockOffsetMs(process.env, WrongUse) }),
  env: process.env,
  home,
  stateFile: join(process.env.IBMCLOUD_HOME || join(home, 'cli'), 'ibmcloud.json'),
  screen: processScreen,
})
// Keep-alive connections would hold the process for their own time; what was written must still get out.
if (process.stdout.writableLength === 0) process.exit()
process.stdout.once('drain', () => process.exit())
