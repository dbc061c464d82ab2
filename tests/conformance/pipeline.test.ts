import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../support/platform.ts'
import { runsProgram } from './python.ts'

const SYNC = join(ROOT, 'apps/sync')

runsProgram('pipeline.py', [join(SYNC, 'dist'), join(ROOT, 'samples/site')], async () => {
  if (!existsSync(join(SYNC, 'dist/sync.js'))) execFileSync(process.execPath, ['build.ts'], { cwd: SYNC, stdio: 'pipe' })
})
