// Runs a file under the Node that Everleaf needs, passes signals on and mirrors the exit status.
const { spawn } = require('node:child_process')
const { constants } = require('node:os')
const { COMPILE_CACHE } = require('./node26.js')

const WRONG_MACHINE = 3

/** Starts `file` with `args` under `node`, undefined where there is none; the process ends with the child's status. */
function run(node, file, args) {
  if (node === undefined) process.exit(WRONG_MACHINE)
  const env = { NODE_NO_WARNINGS: '1', NODE_COMPILE_CACHE: COMPILE_CACHE, ...process.env }
  const child = spawn(node, [file, ...args], { stdio: 'inherit', env })
  const pass = (signal) => child.kill(signal)
  // Ctrl-C reaches the child twice then, by the terminal and by us: it stops once. `kill` reaches us alone.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => pass(signal))
  child.on('error', (error) => {
    process.stderr.write(`everleaf: ${node} cannot be started: ${error.message}\n`)
    process.exit(WRONG_MACHINE)
  })
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}

module.exports = { run }
