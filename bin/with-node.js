// Runs one of the project's own tools: node bin/with-node.js tools/check.ts …
import { run } from './run.js'

const [file, ...args] = process.argv.slice(2)
await run(file, args)
