import { closeSync, fsyncSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { Failed } from './wrong-use.ts'

type Making<T> = {
  /** What it is, for a failure: `API key`. */
  readonly what: string
  make(): Promise<T>
  /** Takes back what was made. */
  unmake(made: T): Promise<void>
  /** What is typed to take it back by hand. */
  byHand(made: T): string
}

/**
 * Makes something whose value is shown once, and keeps it as JSON in a new file that its owner alone reads. The file is opened first: nothing
 * is made that could not be kept, and what cannot be kept after all is taken back. Throws Failed.
 */
export async function makeIntoFile<T>(file: string, { what, make, unmake, byHand }: Making<T>): Promise<void> {
  const opened = openNew(file, what)
  const made = await make().catch((error: unknown) => {
    rmSync(file, { force: true })
    throw error
  })
  try {
    writeFileSync(opened, `${JSON.stringify(made, null, 2)}\n`)
    fsyncSync(opened)
    closeSync(opened)
  } catch (error) {
    rmSync(file, { force: true })
    const why = `${file} cannot be written (${reason(error)})`
    await unmake(made).catch((cause: unknown) => {
      throw new Failed(`${why}, and the ${what} that was made could not be deleted again (${reason(cause)}).\nDelete it with: ${byHand(made)}`, { cause })
    })
    throw new Failed(`${why}, so the ${what} was deleted again.\nName a file elsewhere.`, { cause: error })
  }
}

function openNew(file: string, what: string): number {
  try {
    return openSync(file, 'wx', 0o600)
  } catch (cause) {
    const exists = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST'
    const why = exists ? `${file} is there already and is not written over` : `${file} cannot be made (${reason(cause)})`
    throw new Failed(`${why}. No ${what} was made.\nName another file.`, { cause })
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
