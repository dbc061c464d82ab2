import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { environment, type Finished, finish, ROOT } from './platform.ts'

export type Ibmcloud = {
  /** What a script sees that types this, with the Node of PATH. */
  (...args: readonly string[]): Promise<Finished>
  /** Its standard output; fails the test when it does not end well. */
  done(...args: readonly string[]): Promise<string>
  /** What `--output json` prints. */
  json<T>(...args: readonly string[]): Promise<T>
}

/** `ibmcloud` over the platform of a home, with more environment variables where the test has some. */
export function ibmcloudOf(place: { home: string; env?: NodeJS.ProcessEnv }, more: Readonly<Record<string, string>> = {}): Ibmcloud {
  const run = (...args: readonly string[]): Promise<Finished> =>
    finish(spawn('node', [join(ROOT, 'bin/ibmcloud'), ...args], { env: { ...environment(place), ...more }, stdio: ['ignore', 'pipe', 'pipe'] }), 120_000)
  const done = async (...args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await run(...args)
    assert.equal(status, 0, `ibmcloud ${args.join(' ')}: ${stdout}${stderr}`)
    return stdout
  }
  return Object.assign(run, { done, json: async <T>(...args: readonly string[]) => JSON.parse(await done(...args, '--output', 'json')) as T })
}
