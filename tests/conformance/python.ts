import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, type TestContext, test } from 'node:test'
import { couldNotRun, type Endpoints, freshHome, startPlatform } from '../support/platform.ts'

const HERE = import.meta.dirname
export const PYTHON = join(HERE, '.venv/bin/python')

type Case = { readonly name: string; readonly ok: boolean; readonly error?: string }

/** Says by name that a program of this folder cannot run where tools/system-packages has not been; true where it can. */
export function hasOfficialClients(program: string): boolean {
  if (existsSync(PYTHON)) return true
  couldNotRun(`tests/conformance/${program}`, "IBM's Python clients are not installed (tools/system-packages installs them)")
  return false
}

/** A Python program with the official clients against a platform of its own: each of its cases is a test. */
export function runsProgram(program: string, args: readonly string[] = [], prepare: () => Promise<void> = async () => {}): void {
  describe(program, { skip: !hasOfficialClients(program) }, () => {
    test(`${program} against a fresh platform`, async (context) => {
      await prepare()
      using at = freshHome()
      await using platform = await startPlatform({ home: at.home })
      await reportCases(context, { program, command: [PYTHON, '-B', join(HERE, program), ...args], env: platform.env })
      await platform.stop()
    })
  })
}

type Program = { readonly program: string; readonly command: readonly [string, ...string[]]; readonly env: Endpoints }

/** Each line that a program writes is a test. Nothing of this process's environment reaches it but PATH and what `everleaf env` gives. */
export async function reportCases(context: TestContext, { program, command: [file, ...args], env }: Program): Promise<void> {
  const child = spawn(file, args, { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  context.signal.addEventListener('abort', () => child.kill('SIGKILL'))
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  const ended = new Promise<number | null>((done) => child.once('close', done))
  let cases = 0
  for await (const line of createInterface(child.stdout)) {
    const { name, ok, error } = JSON.parse(line) as Case
    cases++
    await context.test(name, () => {
      if (!ok) throw new Error(error)
    })
  }
  await context.test(`${program} came to its end`, async () => {
    const status = await ended
    if (status !== 0 || cases === 0) throw new Error(`${program} ended with ${status} after ${cases} cases:\n${complaints}`)
  })
}
