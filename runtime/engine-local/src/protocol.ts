/** What the engine and its helper process say to each other: one JSON object a line, both ways, over the helper's file descriptor 3. */
export type ToHelper =
  | {
      readonly type: 'start'
      readonly id: string
      readonly directories: readonly FileSpec[]
      readonly files: readonly (FileSpec & { readonly text: string })[]
      readonly file: string
      readonly args: readonly string[]
      readonly env: Readonly<Record<string, string>>
      readonly cwd: string
      /** It is ended when it and all it started hold more; 0: no limit. */
      readonly memoryBytes: number
    }
  /** Replaces a file in one step; `inPlace`: its content alone, as what is bound to its place by itself must stay the same file. */
  | { readonly type: 'write'; readonly call: number; readonly file: FileSpec & { readonly text: string }; readonly inPlace?: boolean }
  | { readonly type: 'remove'; readonly paths: readonly string[] }
  /** Tells `listens` once something of the instance's does so on this TCP port. */
  | { readonly type: 'watch'; readonly id: string; readonly port: number }
  | { readonly type: 'signal'; readonly id: string; readonly signal: 'SIGTERM' | 'SIGKILL' }

export type FileSpec = { readonly path: string; readonly mode: number; readonly uid: number | undefined }

export type FromHelper =
  | { readonly type: 'hello'; readonly pid: number }
  | { readonly type: 'started'; readonly id: string; readonly pid: number }
  | { readonly type: 'refused'; readonly id: string; readonly message: string }
  | { readonly type: 'line'; readonly id: string; readonly stream: 'stdout' | 'stderr'; readonly text: string }
  | { readonly type: 'dropped'; readonly id: string; readonly lines: number }
  | { readonly type: 'listens'; readonly id: string; readonly port: number }
  | { readonly type: 'exit'; readonly id: string; readonly code: number | null; readonly signal: string | null; readonly outOfMemory: boolean }
  | { readonly type: 'done'; readonly call: number; readonly error: string | undefined }
