import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A file system of its own, in an image. */
export type Disk = {
  /** Where it is mounted. */
  readonly folder: string
  /**
   * What the power's end would leave: keeps the image as it is now, without what the kernel holds in memory only. Nothing may be writing: stop the
   * processes first (SIGSTOP), and kill them before `restore`.
   */
  readonly cut: () => void
  /** Mounts what `cut` kept, in place of what was there; the journal of the file system is played as after a power cut. */
  readonly restore: () => Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Undefined where this machine has no such thing: it takes root and loop devices. */
export async function openDisk({ megabytes }: { megabytes: number }): Promise<Disk | undefined> {
  const root = mkdtempSync(join(tmpdir(), 'ev-disk-'))
  const [image, kept, folder] = [join(root, 'image'), join(root, 'kept'), join(root, 'm')]
  mkdirSync(folder)
  const run = (command: string, ...words: readonly string[]) => execFileSync(command, words, { stdio: 'pipe' })
  // The file system itself flushes nothing on a timer: what is on it was asked for by a program.
  const mount = () => run('mount', '-o', 'loop,commit=3600', image, folder)
  const unmount = async () => {
    for (let tries = 0; ; tries++)
      try {
        return run('umount', folder)
      } catch (error) {
        // The last of its processes may be ending.
        if (tries === 100) throw error
        await sleep(100)
      }
  }
  try {
    writeFileSync(image, '')
    truncateSync(image, megabytes * 1024 * 1024)
    run('mkfs.ext4', '-q', '-F', '-m', '0', image)
    mount()
  } catch {
    rmSync(root, { recursive: true, force: true })
    return undefined
  }
  return {
    folder,
    cut: () => run('cp', '--sparse=always', image, kept),
    async restore() {
      await unmount()
      run('mv', kept, image)
      mount()
    },
    async [Symbol.asyncDispose]() {
      await unmount()
      rmSync(root, { recursive: true, force: true })
    },
  }
}
