import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** Processes of this machine whose environment or command line has the mark. */
function marked(mark: string): string[] {
  const has = (file: string) => {
    try {
      return readFileSync(file, 'latin1').includes(mark)
    } catch {
      return false // it ended, or is not ours to read
    }
  }
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid && (has(`/proc/${pid}/environ`) || has(`/proc/${pid}/cmdline`)))
}

for (const mode of ['auto', 'plain'] as const)
  test(`nothing is left of an engine that was killed (${mode})`, { skip: process.platform !== 'linux' && 'it looks into /proc' }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'everleaf-orphans-'))
    const mark = `everleaf-mark-${process.pid}-${mode}`
    const owner = spawn(process.execPath, [fileURLToPath(new URL('./owner.ts', import.meta.url)), mode, mark, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
    for await (const line of createInterface({ input: owner.stdout })) if (line === 'running') break
    // The owner, its helper, the launcher's processes, the program and the child it started.
    assert.ok(marked(mark).length >= 3, `${marked(mark).length} processes`)
    owner.kill('SIGKILL')
    const end = performance.now() + 5000
    while (marked(mark).length > 0) {
      assert.ok(performance.now() < end, `left: ${marked(mark)}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    rmSync(folder, { recursive: true, force: true })
  })
