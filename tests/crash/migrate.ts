// Opens the database named on the command line with all migrations, in a world that may die.
import { migrations } from '@everleaf/platform/migrations'
import { openStore } from '@everleaf/store'
import { createWorld } from './world.ts'

await (await openStore({ file: process.argv[2] ?? '', world: createWorld(), migrations })).close()
