import type { Readable } from 'node:stream'
import type { Tx } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { Kysely } from 'kysely'
import type { Static, TSchema } from 'typebox'

/** Who calls, as its access token says. */
export type Identity = {
  /** `IBMid-…`, `iam-ServiceId-…` or `iam-Profile-…`; `crn-…` of a component that comes with its service account. */
  readonly iamId: string
  /** 32 hex digits. */
  readonly account: string
  readonly kind: 'user' | 'service-id' | 'profile' | 'service-account'
  /** Human name, for created_by fields that want one and for audit lines. */
  readonly name: string
}

/** What an action is asked on; absent members match any policy that does not name them. */
export type Resource = {
  readonly service: string
  readonly account?: string
  /** GUID of the service instance or project. */
  readonly instance?: string
  readonly resourceGroup?: string
  readonly type?: string
  readonly id?: string
}

/** The gate in front of every operation: filled in with IAM by the platform. */
export type Guard = {
  /** The caller behind an Authorization header; undefined when there is none or it is not good (expired, forged, revoked). */
  authenticate(authorization: string | undefined): Promise<Identity | undefined>
  /** Whether policies of this moment allow `action` (an IAM action name) on `resource`. Default deny. */
  authorize(identity: Identity, action: string, resource: Resource): Promise<boolean>
  /** Told of each refusal that a caller is answered with, for whoever asks why. */
  refused?(refusal: { readonly identity: Identity; readonly action: string; readonly resource: Resource; readonly requestId: string }): void
}

export type Call<D> = {
  readonly world: World
  readonly deps: D
  readonly now: () => Date
  readonly id: () => string
  readonly identity: Identity
  readonly requestId: string
  /** Scheme, host and prefix the caller used, without a trailing slash: what hrefs start with. */
  readonly baseUrl: string
  readonly headers: Readonly<Record<string, string | undefined>>
  /** As it came, with its query: for names that a router would change (a slash at their end). */
  readonly url: string
  readonly setHeader: (name: string, value: string) => void
  /** Asks the guard about something beside the route's own action and resource. */
  readonly may: (action: string, resource: Resource) => Promise<boolean>
  /** Writes the operation's audit line in a transaction that it makes itself, as a lookup does that stores what streams in. */
  readonly audited: (tx: Tx) => Promise<void>
}
/** What an operation that only reads gets. */
export type Read<T, D> = Call<D> & { readonly db: Kysely<T> }
/** What an operation that changes gets: `db` is inside the transaction, and nothing else is reachable. */
export type Write<T, D> = Read<T, D> & { readonly tx: Tx }

export type Input<P, Q, B> = { readonly params: P; readonly query: Q; readonly body: B }
type Data<S> = S extends TSchema ? Static<S> : undefined
type Params = Readonly<Record<string, string>>

type Shapes<Q extends TSchema | undefined, B extends TSchema | undefined> = {
  readonly query?: Q
  readonly body?: B
  /** For documentation and tests; replies are written as they are. */
  readonly reply?: TSchema
  /** Default 200 (204 when `run` gives undefined). */
  readonly status?: number
  /** Default: the service's limit. */
  readonly maxBytes?: number
  /** Members beyond the service's 1 000 that one body may have. */
  readonly maxKeys?: number
  /** Whether a member that is named twice refuses the body. Default: for forms only. */
  readonly refuseDuplicates?: boolean
  /** Members of a checked body that change nothing here: named in the header `Everleaf-Ignored`, like those that the shape does not know. */
  readonly withoutEffect?: (body: unknown) => readonly string[]
  /** How the body comes: JSON (default), a form, raw bytes, or a stream. */
  readonly takes?: 'json' | 'form' | 'bytes' | 'stream'
  /** Whether a change may come with `everleaf_check_only=true` in its query: all of it is checked and answered, and nothing is kept. */
  readonly mayBeTried?: boolean
  /** An audit line before the answer: `true` for reads of secrets; every change has one unless `false`. */
  readonly audit?: boolean
}
type WithResource<C> = {
  /** The object that the guard is asked about; throws the API's 404 for one that is not there. Default: the service's instance. */
  readonly resource?: (context: C, params: Params) => Promise<Resource>
}

export type LookupDefinition<T, D, Q extends TSchema | undefined, B extends TSchema | undefined> = Shapes<Q, B> &
  WithResource<Read<T, D>> & { readonly run: (context: Read<T, D>, input: Input<Params, Data<Q>, Data<B>>) => Promise<unknown> }
export type OperationDefinition<T, D, Q extends TSchema | undefined, B extends TSchema | undefined> = Shapes<Q, B> &
  WithResource<Read<T, D>> & { readonly run: (context: Write<T, D>, input: Input<Params, Data<Q>, Data<B>>) => Promise<unknown> }

/** An operation with its types put away, as route tables hold it. */
export type Operation = Shapes<TSchema | undefined, TSchema | undefined> & {
  readonly mode: 'read' | 'write' | 'not-implemented'
  /** The operation's published name, for 501. */
  readonly name?: string
  readonly resource?: (context: Read<unknown, unknown>, params: Params) => Promise<Resource>
  readonly run: (context: Write<unknown, unknown>, input: Input<Params, unknown, unknown>) => Promise<unknown>
}

/** One line: method, path, IAM action (`public`: no token needed; `any`: any good token), operation. */
export type Route = readonly [method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, action: string, operation: Operation]

/** The two makers of operations for one service: T are its tables, D what it needs of others. */
export function operationsOf<T, D>() {
  return {
    /** Changes something: runs in one transaction, which is on disk before the answer is sent. */
    operation: <Q extends TSchema | undefined = undefined, B extends TSchema | undefined = undefined>(definition: OperationDefinition<T, D, Q, B>): Operation =>
      ({ ...definition, mode: 'write' }) as unknown as Operation,
    /** Only reads. */
    lookup: <Q extends TSchema | undefined = undefined, B extends TSchema | undefined = undefined>(definition: LookupDefinition<T, D, Q, B>): Operation =>
      ({ ...definition, mode: 'read' }) as unknown as Operation,
  }
}

/** An operation of the published API that does not exist here yet: answers 501 and its name. */
export function notImplemented(name: string): Operation {
  return { mode: 'not-implemented', name, run: async () => undefined }
}

/** What a lookup gives instead of an object where its answer comes bit by bit: sent as it comes, and given up when the caller leaves. */
export class StreamReply {
  /** The media type. */
  readonly type: string
  readonly chunks: AsyncIterable<string | Buffer>
  constructor(type: string, chunks: AsyncIterable<string | Buffer>) {
    this.type = type
    this.chunks = chunks
  }
}

/** What an operation gives whose answer is no JSON, or has headers and a status of its own. */
export class RawReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Of chunks each is asked for while the one before is being written; the memory of those that are written is given back. */
  readonly body: string | AsyncIterable<Buffer> | undefined
  constructor({ status, headers, body }: { status: number; headers: Readonly<Record<string, string>>; body: RawReply['body'] }) {
    this.status = status
    this.headers = headers
    this.body = body
  }
}

export type ByteStream = Readable
