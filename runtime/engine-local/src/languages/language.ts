import { BuildFailed } from '@everleaf/engine'
import type { RunTool } from '../tools.ts'

/** What detection looks at: the names at the root of the source and the text of the files it reads. */
export type Source = { readonly names: ReadonlySet<string>; readonly text: (name: string) => string; readonly exists: (path: string) => boolean }

/** How a source runs, and what must be fetched or compiled before. */
export type Detected = {
  readonly language: 'node' | 'python' | 'go' | 'java'
  readonly command: readonly string[]
  /** Beside the engine's own variables; `{app}` stands for the folder of the image. */
  readonly env: Readonly<Record<string, string>>
  /** How dependencies come: from a lock that names each version, by a list, or there are none. */
  readonly dependencies: 'locked' | 'listed' | 'none'
  /** Says the command when only the build knows it. */
  prepare(work: Workbench): Promise<readonly string[] | undefined>
}

export type Workbench = {
  /** Absolute path of the extracted source, which becomes the image. */
  readonly folder: string
  readonly run: RunTool
  readonly log: (text: string) => void
  /** Absolute path of a program in the folders that instances see; throws BuildFailed that says what to install. */
  readonly program: (name: string, install: string) => string
  /**
   * Keeps a folder of dependencies apart from code: brought back when it was made before from the same `key`, otherwise made by `make`
   * and kept. `name` is relative to `folder`.
   */
  readonly cached: (name: string, key: readonly string[], make: () => Promise<void>) => Promise<void>
}

/** A line that starts a program: run as it is when it is plain words that begin with `program`, otherwise by a shell. */
export function commandOf(line: string, program: string): readonly string[] {
  const words = line.split(/\s+/)
  const plain = words.every((word) => /^[\w./:@%+,=-]+$/.test(word)) && !words[0]?.includes('=')
  if (plain && words[0] === program) return words
  // A constant shell line gets the user's as its argument, beside the programs of its dependencies.
  return ['sh', '-c', 'PATH="$PWD/node_modules/.bin:$PWD/.everleaf/bin:$PWD/.everleaf/python/bin:$PATH"; export PATH; eval "$1"', 'sh', line]
}

/** The line `web:` of a Procfile. */
export function webLine(source: Source): string | undefined {
  return source.names.has('Procfile') ? /^web:\s*(\S.*)$/m.exec(source.text('Procfile'))?.[1]?.trim() : undefined
}

export function notFromRegistry(name: string): BuildFailed {
  return new BuildFailed(
    'failed',
    `The dependency ${JSON.stringify(name.slice(0, 200))} does not come from a registry: only versions of published packages are installed.`,
  )
}
