import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { couldNotRun, freshHome, startPlatform } from '../support/platform.ts'
import { reportCases } from './python.ts'

/** Maven builds in the home of the test, so that nothing of it stays in this folder. */
test("IBM's Java client of Object Storage against a fresh platform", { timeout: 300_000 }, async (context) => {
  try {
    for (const command of ['mvn', 'javac']) execFileSync(command, ['--version'], { stdio: 'ignore' })
  } catch {
    return couldNotRun('tests/conformance/java', 'there is no Maven or no JDK (tools/system-packages installs them)')
  }
  using at = freshHome()
  const folder = join(at.home, 'java')
  cpSync(join(import.meta.dirname, 'java'), folder, { recursive: true })
  const { status, stdout } = spawnSync('mvn', ['-q', '-B', 'package'], { cwd: folder, encoding: 'utf8' })
  assert.equal(status, 0, stdout)
  await using platform = await startPlatform(at)
  const { done } = ibmcloudOf(at)
  await done('resource', 'service-instance-create', 'cos', 'cloud-object-storage', 'standard', 'global')
  const crn = (await done('resource', 'service-instance', 'cos', '--crn')).split('\n').find((line) => line.includes(':cloud-object-storage:')) ?? ''
  const command = ['java', '-cp', `${folder}/target/classes:${folder}/target/lib/*`, 'ObjectStorage', crn] as const
  await reportCases(context, { program: 'ObjectStorage.java', command, env: platform.env })
  await platform.stop()
})
