import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InstanceFailed } from '@everleaf/engine'

/** What stands in `everleaf-image.json` at the root of every image. */
export type Image = { readonly language: string; readonly command: readonly string[]; readonly env: Readonly<Record<string, string>>; readonly digest: string }

export const IMAGE_FILE = 'everleaf-image.json'

/** Reads an image's description; throws InstanceFailed with Code Engine's word when there is none. */
export function readImage(directory: string): Image {
  try {
    return JSON.parse(readFileSync(join(directory, IMAGE_FILE), 'utf8')) as Image
  } catch (cause) {
    throw new InstanceFailed('image_pull_back_off', 'the image is not there or was not made by a build: build it again', { cause })
  }
}
