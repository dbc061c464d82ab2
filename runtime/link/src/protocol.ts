import type { Difference, EdgeEvent, Item } from './items.ts'

/** Core → edge. `epoch` changes with every start of core; versions count up by one within it. */
export type FromCore =
  | { readonly type: 'snapshot'; readonly epoch: string; readonly version: number; readonly items: readonly Item[] }
  | { readonly type: 'difference'; readonly version: number; readonly difference: Difference }
  | { readonly type: 'took'; readonly id: number }
  | CallMessage
  | ReplyMessage

/** Edge → core. */
export type FromEdge =
  | { readonly type: 'event'; readonly id: number; readonly event: EdgeEvent }
  | { readonly type: 'applied'; readonly version: number }
  | CallMessage
  | ReplyMessage

export type CallMessage = { readonly type: 'call'; readonly id: number; readonly method: string; readonly input: unknown }
export type ReplyMessage = { readonly type: 'reply'; readonly id: number; readonly ok: boolean; readonly value: unknown }

/** The other side went away, or did not answer in time. */
export class LinkDown extends Error {}

type Methods = Readonly<Record<string, (input: never) => Promise<unknown>>>

/** Calls over the link: each has an id, an answer and a limit. */
export function createCalls<Out extends Methods>(options: {
  send: (message: CallMessage | ReplyMessage) => void
  after: (ms: number, work: () => void) => { cancel(): void }
  offered: Methods
}) {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void; timer: { cancel(): void } }>()
  let nextId = 1
  return {
    call<M extends keyof Out & string>(method: M, input: Parameters<Out[M]>[0], limitMs: number): ReturnType<Out[M]> {
      const id = nextId++
      return new Promise((resolve, reject) => {
        const timer = options.after(limitMs, () => {
          waiting.delete(id)
          reject(new LinkDown(`${method}: no answer within ${limitMs} ms`))
        })
        waiting.set(id, { resolve, reject, timer })
        try {
          options.send({ type: 'call', id, method, input })
        } catch (cause) {
          waiting.delete(id)
          timer.cancel()
          reject(new Error(`${method}: the input cannot be sent`, { cause }))
        }
      }) as ReturnType<Out[M]>
    },
    async onCall({ id, method, input }: CallMessage): Promise<void> {
      try {
        const handler = Object.hasOwn(options.offered, method) ? options.offered[method] : undefined
        if (handler === undefined) throw new Error(`nothing answers ${method}`)
        options.send({ type: 'reply', id, ok: true, value: await handler(input as never) })
      } catch (error) {
        options.send({ type: 'reply', id, ok: false, value: error instanceof Error ? error.message : String(error) })
      }
    },
    onReply({ id, ok, value }: ReplyMessage): void {
      const entry = waiting.get(id)
      if (entry === undefined) return
      waiting.delete(id)
      entry.timer.cancel()
      if (ok) entry.resolve(value)
      else entry.reject(new Error(String(value)))
    },
    abandon(): void {
      for (const { reject, timer } of waiting.values()) {
        timer.cancel()
        reject(new LinkDown('the other side of the link went away'))
      }
      waiting.clear()
    },
  }
}
