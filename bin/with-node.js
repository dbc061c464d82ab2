// Runs one of the project's own tools: node bin/with-node.js tools/check.ts …
const { findNode } = require('./node26.js')
const { run } = require('./run.js')

const [file, ...args] = process.argv.slice(2)
run(findNode(), file, args)
