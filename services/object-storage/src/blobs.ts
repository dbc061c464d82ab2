import { createCipheriv, createDecipheriv } from 'node:crypto'
import { constants, type FileHandle, mkdir, open, readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { release, type World } from '@everleaf/world'

/** Bytes `from` to `to` (that one included) of a body of `size` bytes. */
export type Part = { readonly from: number; readonly to: number; readonly size: number }

/** An open body, whose chunks are the taker's. Its file is closed at its end, or by `return`. */
export type Body = {
  next(): Promise<IteratorResult<Buffer, undefined>>
  return(): Promise<IteratorResult<Buffer, undefined>>
  [Symbol.asyncIterator](): Body
}

/** The bodies of objects: files named by ids of ours, never by keys, each sealed in frames with a key of its own. */
export type Blobs = {
  /** Writes a stream whole or not at all; on disk when it resolves. `length` is what it is said to have: the bytes that come count. */
  write(body: AsyncIterable<Buffer>, options: { readonly key: Buffer; readonly length: number | undefined }): Promise<string>
  /**
   * Opens a part of a body, whose first bytes are read already. It is whole also where the body is removed meanwhile; it fails at the first
   * frame that was altered. Undefined: there is no such body.
   */
  open(blob: string, key: Buffer, part: Part): Promise<Body | undefined>
  remove(blob: string): Promise<void>
  /** Removes files that no row names: what was written before a kill. */
  sweep(isKnown: (blob: string) => boolean): Promise<void>
}

/** Plain bytes of a frame. Each is sealed by itself, so that a range is read without what is before it. */
const FRAME = 256 * 1024
const TAG = 16
const SEALED = FRAME + TAG
/** Frames that are read at once: a turn of the thread pool costs as much as the reading of one. */
const READ_AT_ONCE = 4
/** Frames that are written at once, while as many are awaited, measured and sealed. */
const WRITE_AT_ONCE = 4
/** A body that is written at once: its write ends when it is on disk, without a second turn of the thread pool for that. */
const AT_ONCE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_DSYNC
/** Frames after which the disk begins with what it has, so that the end does not wait for all of a large body. */
const FLUSH_FRAMES = 128
const MIN_CHUNK = 16 * 1024

export function openBlobs(options: { folder: string; world: Pick<World, 'id' | 'crashPoint'> }): Blobs {
  const { folder, world } = options
  const pathOf = (blob: string) => join(folder, blob)
  // Kept open: with making the folder, opening and closing it were a third of the turns of a small put.
  let entries: Promise<FileHandle> | undefined
  const openEntries = async () => {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return await open(folder, 'r')
  }
  const entriesOf = async () => {
    try {
      return await (entries ??= openEntries())
    } catch (error) {
      entries = undefined
      throw error
    }
  }
  return {
    async write(body, { key, length = 0 }) {
      const blob = world.id()
      const handle = await entriesOf()
      const isAtOnce = length > 0 && length <= WRITE_AT_ONCE * FRAME
      // Made, and its name synced, while the first bytes come, are measured and sealed.
      const opening = open(pathOf(blob), isAtOnce ? AT_ONCE : 'wx', 0o600)
      const named = opening.then(() => handle.sync())
      named.catch(() => {})
      try {
        const written = await writeFrames(opening, body, key)
        if (!isAtOnce || written === 0) await (await opening).sync()
        await named
      } catch (error) {
        await opening.catch(() => {})
        await unlink(pathOf(blob)).catch(() => {})
        throw error
      } finally {
        // On disk or given up: nobody has to wait for it.
        opening.then((file) => file.close()).catch(() => {})
      }
      world.crashPoint('cos.body-written')
      return blob
    },
    async open(blob, key, part) {
      const file = await openIfThere(pathOf(blob))
      return file && (await bodyOf(file, blob, framesOf(file, key, part)))
    },
    remove: (blob) => unlink(pathOf(blob)).catch(() => {}),
    async sweep(isKnown) {
      const names = await readdir(folder).catch(() => [])
      for (const name of names) if (!isKnown(name)) await unlink(pathOf(name)).catch(() => {})
    },
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Seals what comes as it comes, without holding a frame together, and writes some frames while the next ones come. Gives the bytes of the file. */
async function writeFrames(opening: Promise<FileHandle>, body: AsyncIterable<Buffer>, key: Buffer): Promise<number> {
  const writes = behind(1)
  const flushes = behind(1)
  let count = 0
  let frame = sealer(key, count)
  let parts: Buffer[] = []
  let position = 0
  // Its failure is told by the first write.
  opening.catch(() => {})
  const write = async () => {
    const file = await opening
    const [now, at] = [parts, position]
    parts = []
    position += now.reduce((sum, { length }) => sum + length, 0)
    await writes.add(writeAll(file, now, at))
    if (count % FLUSH_FRAMES === 0) await flushes.add(file.datasync())
  }
  for await (const chunk of gathered(body)) {
    for (let at = 0; at < chunk.length;) {
      at += frame.add(chunk, at)
      if (!frame.isFull()) continue
      parts.push(...frame.end())
      frame = sealer(key, ++count)
      if (count % WRITE_AT_ONCE === 0) await write()
    }
  }
  if (!frame.isEmpty()) parts.push(...frame.end())
  if (parts.length > 0) await write()
  await Promise.all([writes.end(), flushes.end()])
  return position
}

/** The same bytes, without small chunks: of each a cipher makes a buffer of its own, and a caller may send ever so many. */
async function* gathered(body: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  let held: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    if (size === 0 && chunk.length >= MIN_CHUNK) {
      yield chunk
      continue
    }
    held.push(chunk)
    size += chunk.length
    if (size < MIN_CHUNK) continue
    yield Buffer.concat(held)
    held = []
    size = 0
  }
  if (size > 0) yield Buffer.concat(held)
}

/** A frame that is being sealed. */
function sealer(key: Buffer, count: number) {
  const cipher = createCipheriv('aes-256-gcm', key, nonce(count))
  const parts: Buffer[] = []
  let room = FRAME
  return {
    isFull: () => room === 0,
    isEmpty: () => room === FRAME,
    /** Takes as much of the chunk as there is room for; gives how much that was. */
    add(chunk: Buffer, from: number): number {
      const taken = from === 0 && chunk.length <= room ? chunk : chunk.subarray(from, from + room)
      parts.push(cipher.update(taken))
      room -= taken.length
      return taken.length
    },
    end(): Buffer[] {
      parts.push(cipher.final(), cipher.getAuthTag())
      return parts.filter(({ length }) => length > 0)
    },
  }
}

/** So much work goes on while more is added. What failed is told by the next `add`, or by `end`. */
function behind(most: number) {
  const running: Promise<unknown>[] = []
  return {
    async add(work: Promise<unknown>): Promise<void> {
      // Awaited later: until then its failure belongs to nobody.
      work.catch(() => {})
      running.push(work)
      if (running.length > most) await running.shift()
    },
    end: () => Promise.all(running),
  }
}

/** A disk that is nearly full takes a part of what it is given, and says so only when it is given the rest. */
async function writeAll(file: FileHandle, parts: readonly Buffer[], position: number): Promise<void> {
  const { bytesWritten } = await file.writev(parts, position)
  if (bytesWritten < parts.reduce((sum, { length }) => sum + length, 0)) {
    const all = Buffer.concat(parts)
    for (let at = bytesWritten; at < all.length;) at += (await file.write(all, at, all.length - at, position + at)).bytesWritten
  }
  for (const part of parts) release(part)
}

/** Reads the frames of a part one after the other; undefined is its end. */
type Frames = () => Promise<Buffer | undefined>

function framesOf(file: FileHandle, key: Buffer, { from, to, size }: Part): Frames {
  const last = Math.floor(to / FRAME)
  let next = Math.floor(from / FRAME)
  const first = next
  const most = Math.min(READ_AT_ONCE, last - first + 1)
  const buffer = Buffer.allocUnsafeSlow(most * SEALED)
  return async () => {
    if (next > last) {
      release(buffer)
      return undefined
    }
    const at = ((next - first) % most) * SEALED
    if (at === 0) {
      const until = Math.min(next + most, last + 1)
      const length = Math.min(until * FRAME, size) - next * FRAME + (until - next) * TAG
      const { bytesRead } = await file.read(buffer, 0, length, next * SEALED)
      if (bytesRead !== length) throw new Error('it is cut off')
    }
    const start = next * FRAME
    const plain = unsealed(buffer.subarray(at, at + Math.min(FRAME, size - start) + TAG), key, next++)
    return from > start || to + 1 < start + plain.length ? plain.subarray(Math.max(0, from - start), to + 1 - start) : plain
  }
}

async function bodyOf(file: FileHandle, blob: string, frames: Frames): Promise<Body> {
  const end = async (): Promise<IteratorResult<Buffer, undefined>> => {
    await file.close()
    return { done: true, value: undefined }
  }
  const read = async () => {
    try {
      return await frames()
    } catch (cause) {
      await end()
      throw new Error(`the body ${blob} cannot be read`, { cause })
    }
  }
  let first = await read()
  const body: Body = {
    async next() {
      const value = first ?? (await read())
      first = undefined
      return value === undefined ? await end() : { done: false, value }
    },
    return: end,
    [Symbol.asyncIterator]: () => body,
  }
  return body
}

// A key seals one body, so a frame's number is a nonce that never comes twice.
function nonce(frame: number): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt32BE(frame, 8)
  return bytes
}

function unsealed(bytes: Buffer, key: Buffer, frame: number): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce(frame))
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG))
  const plain = decipher.update(bytes.subarray(0, bytes.length - TAG))
  decipher.final()
  return plain
}
