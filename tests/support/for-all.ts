import { after, before } from 'node:test'
import { type freshHome, type Running, startPlatform } from './platform.ts'

/** Starts a platform before the tests of a file, hands it to `take`, and ends it and its home after them. */
export function platformForAll(
  place: ReturnType<typeof freshHome> & { readonly args?: readonly string[] },
  take: (platform: Running) => void = () => {},
): void {
  let platform: Running
  before(async () => {
    platform = await startPlatform(place)
    take(platform)
  })
  after(async () => {
    await platform.stop()
    place[Symbol.dispose]()
  })
}
