// `everleaf keys rotate --root` in a world that may die.
import { rotateRootKey } from '@everleaf/platform/root-key'
import { homeFolder } from '@everleaf/world'
import { createWorld } from './world.ts'

await rotateRootKey(homeFolder(process.env), createWorld())
