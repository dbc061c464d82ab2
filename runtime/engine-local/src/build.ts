import type { BuildRequest, BuildResult } from '@everleaf/engine'
import type { World } from '@everleaf/world'
export function buildImage(_request: BuildRequest, _deps: { world: World; node: string }): Promise<BuildResult> {
  throw new Error('todo')
}
