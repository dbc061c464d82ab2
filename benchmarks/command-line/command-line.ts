// How long `ibmcloud ce app get -o url` takes from start to exit, beside an empty program of Node and one request to the platform.
import { execFileSync } from 'node:child_process'
import { environment, freshHome, ROOT, startPlatform } from '@everleaf/tests/support/platform'
import { deploy, webApp } from '@everleaf/tests/support/pipeline'
import { ms, option, percentile, report } from '../lib.ts'

const TIMES = option('times', 15)
// As the first command leaves it.
execFileSync(process.execPath, ['tools/build-commands.ts'], { cwd: ROOT, stdio: 'inherit' })
using place = freshHome()
await using platform = await startPlatform(place)
await deploy(platform, 'app', webApp(`response.end('app')`))
const { env, api } = platform
const app = `${env.CODE_ENGINE_URL}/projects/${env.CODE_ENGINE_PROJECT_ID}/apps/app`

const took = (words: readonly string[]): number => {
  const began = performance.now()
  execFileSync(process.execPath, words, { env: environment(place), stdio: ['ignore', 'pipe', 'inherit'] })
  return performance.now() - began
}
const command = [`${ROOT}/bin/ibmcloud`, 'ce', 'app', 'get', '-n', 'app', '-o', 'url']
const [gets, empties, requests]: [number[], number[], number[]] = [[], [], []]
// The first one logs in and fills the cache of compiled code.
took(command)
// In turns, so that what else the machine does falls on all of them.
for (let n = 0; n < TIMES; n++) {
  gets.push(took(command))
  empties.push(took(['-e', '']))
  const began = performance.now()
  await api('GET', app)
  requests.push(performance.now() - began)
}
const [get, empty, request] = [gets, empties, requests].map((values) => percentile(values, 0.5)) as [number, number, number]
report('command-line', [
  {
    what: `ibmcloud ce app get, start to exit, median of ${TIMES} (an empty program: ${ms(empty)}, a request: ${ms(request)})`,
    value: `${ms(get)}, ${(get / (empty + request)).toFixed(2)} times`,
    reach: '1.5 times an empty program and a request',
    met: get <= 1.5 * (empty + request),
  },
])
