// Runs one of the project's own tools: node bin/with-node.js tools/check.ts …
import { findNode } from './node26.js'
import { run } from './run.js'

const [file, ...args] = process.argv.slice(2)
run(await findNode(), file, args)
