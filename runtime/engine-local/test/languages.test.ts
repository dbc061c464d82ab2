import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { BuildFailed, type InstanceSpec } from '@everleaf/engine'
import { toolRunner } from '../src/tools.ts'
import { openSetting } from './setting.ts'

let setting: Awaited<ReturnType<typeof openSetting>>
let count = 0
before(async () => {
  // The real environment: the registries of this machine's own configuration.
  setting = await openSetting('auto', Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined)))
})
after(() => setting.close())

const has = (tool: string, ...args: readonly string[]): boolean => {
  try {
    execFileSync(tool, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
function needs(t: { skip(reason: string): void }, name: string, isThere: boolean): boolean {
  if (isThere) return true
  const reason = `builds need ${name}`
  if (process.env.EVERLEAF_COULD_NOT_RUN) appendFileSync(process.env.EVERLEAF_COULD_NOT_RUN, `${reason}\n`)
  t.skip(reason)
  return false
}

/** Builds a source, gives the log. */
async function build(files: Readonly<Record<string, string>>): Promise<{ image: string; log: string[]; language: string }> {
  const log: string[] = []
  const image = join(setting.folder, `image-${++count}`)
  const { language } = await setting.engine.build({
    source: { archive: await setting.archive(files) },
    image,
    timeoutMs: 300_000,
    log: (line) => void log.push(line),
  })
  return { image, log, language }
}

/** What an instance of the image answers. */
async function answer(image: string): Promise<unknown> {
  const spec: InstanceSpec = {
    name: `i${++count}`,
    workload: 'languages',
    image,
    commands: [],
    arguments: [],
    env: [],
    mounts: [],
    token: undefined,
    hosts: () => [],
    trust: '',
    port: 8080,
    memoryBytes: 4e9,
    readiness: undefined,
    liveness: undefined,
    log: () => {},
  }
  const instance = await setting.engine.start(spec)
  try {
    await instance.ready
    const { host, port } = instance.address
    return JSON.parse(
      await new Promise<string>((resolve, reject) => {
        get({ host, port, path: '/' }, (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (part: string) => {
            text += part
          })
          response.on('end', () => resolve(text))
        }).on('error', reject)
      }),
    )
  } finally {
    await instance.stop(1_000)
  }
}

const PYTHON = `
import http.server, json, os, six
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"six": six.__version__, "home": os.environ["HOME"]}).encode()
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
`

test('a Dockerfile beside a source is not used, and the log of the build says so', async () => {
  const file = { 'server.js': '' }
  assert.match((await build({ ...file, Dockerfile: 'FROM scratch' })).log.join('\n'), /The Dockerfile is not used/)
  assert.doesNotMatch((await build(file)).log.join('\n'), /Dockerfile/)
})

test('a Python source with packages is built and runs, and the same packages are not installed twice', { timeout: 300_000 }, async (t) => {
  if (!needs(t, 'python3 with pip (python3-pip)', has('/usr/bin/python3', '-m', 'pip', '--version'))) return
  const first = await build({ 'app.py': PYTHON, 'requirements.txt': '# one\nsix==1.17.0 ; python_version > "3"\n' })
  assert.equal(first.language, 'python')
  assert.ok(first.log.includes('pip install -r requirements.txt'), first.log.join('\n'))
  assert.equal(((await answer(first.image)) as { six: string }).six, '1.17.0')
  const second = await build({ 'app.py': `${PYTHON}\n# changed`, 'requirements.txt': '# one\nsix==1.17.0 ; python_version > "3"\n' })
  assert.ok(!second.log.includes('pip install -r requirements.txt'), second.log.join('\n'))
  assert.equal(((await answer(second.image)) as { six: string }).six, '1.17.0')
})

test('a Procfile may say python, as images of buildpacks have it', { timeout: 60_000 }, async (t) => {
  if (!needs(t, 'python3', has('/usr/bin/python3', '--version'))) return
  const program = PYTHON.replace(', six', '').replace('six.__version__', '"none"')
  const { image } = await build({ 'web/start.py': program, 'app.py': '', Procfile: 'web: python web/start.py' })
  assert.equal(((await answer(image)) as { six: string }).six, 'none')
})

test('what builds a Python package sees neither the files of Everleaf nor its processes', { timeout: 300_000 }, async (t) => {
  if (!needs(t, 'python3 with pip (python3-pip)', has('/usr/bin/python3', '-m', 'pip', '--version'))) return
  if (!needs(t, 'user namespaces', has('unshare', '--user', '--map-root-user', '--mount', 'true'))) return
  const folder = mkdtempSync(join(tmpdir(), 'everleaf-shield-'))
  const log: string[] = []
  const run = toolRunner({
    cwd: setting.folder,
    env: { PATH: process.env.PATH ?? '' },
    signal: new AbortController().signal,
    log: (line) => void log.push(line),
    hidden: folder,
  })
  appendFileSync(join(folder, 'key'), 'k3y')
  const script = `cat ${folder}/key; umount ${folder}; cat ${folder}/key; cat /proc/${process.pid}/environ; ls /proc/${process.pid}; true`
  await run({ file: 'sh', args: ['-c', `echo begins; ${script}`], shielded: true, install: '' })
  rmSync(folder, { recursive: true })
  assert.ok(log.includes('begins'))
  assert.ok(!log.some((line) => line.includes('k3y') || line.includes('PATH=')), log.join('\n'))
})

test('a Go source with a module is compiled and runs', { timeout: 300_000 }, async (t) => {
  if (!needs(t, 'Go', has('go', 'version'))) return
  const { image, language } = await build({
    'go.mod': 'module example.com/app\n\ngo 1.21\n\nrequire github.com/google/uuid v1.6.0\n',
    'go.sum':
      'github.com/google/uuid v1.6.0 h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=\ngithub.com/google/uuid v1.6.0/go.mod h1:TIyPZe4MgqvfeYDBFedMoGGpEw/LqOeaOT+nhxU+yHo=\n',
    'main.go':
      'package main\n\nimport (\n\t"fmt"\n\t"net/http"\n\t"os"\n\n\t"github.com/google/uuid"\n)\n\nfunc main() {\n\thttp.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "{\\"id\\": %q}", uuid.Nil.String()) })\n\tpanic(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))\n}\n',
  })
  assert.equal(language, 'go')
  assert.deepEqual(await answer(image), { id: '00000000-0000-0000-0000-000000000000' })
})

test('a program in Go of the standard library needs no module', { timeout: 300_000 }, async (t) => {
  if (!needs(t, 'Go', has('go', 'version'))) return
  const { image, language } = await build({
    'hello.go':
      'package main\n\nimport (\n\t"fmt"\n\t"net/http"\n\t"os"\n)\n\nfunc main() {\n\thttp.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"alone": true}`) })\n\tpanic(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))\n}\n',
  })
  assert.equal(language, 'go')
  assert.deepEqual(await answer(image), { alone: true })
})

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>com.example</groupId><artifactId>app</artifactId><version>1</version>
<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target></properties>
<build><plugins><plugin><groupId>org.apache.maven.plugins</groupId><artifactId>maven-jar-plugin</artifactId><version>3.5.1</version><configuration><archive><manifest><mainClass>App</mainClass></manifest></archive></configuration></plugin></plugins></build></project>`
const JAVA = `import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
public class App {
  public static void main(String[] args) throws Exception {
    var server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("PORT"))), 0);
    server.createContext("/", exchange -> { var body = "{\\"java\\": true}".getBytes(); exchange.sendResponseHeaders(200, body.length); exchange.getResponseBody().write(body); exchange.close(); });
    server.start();
  }
}`

test('a Java source is packed by Maven and runs', { timeout: 300_000 }, async (t) => {
  if (!needs(t, 'Java and Maven', has('mvn', '--version') && has('javac', '--version'))) return
  const { image, language } = await build({ 'pom.xml': POM, 'src/main/java/App.java': JAVA })
  assert.equal(language, 'java')
  assert.deepEqual(await answer(image), { java: true })
})

test('a build whose tool fails says so and leaves nothing', { timeout: 300_000 }, async (t) => {
  if (!needs(t, 'Go', has('go', 'version'))) return
  const log: string[] = []
  const image = join(setting.folder, 'broken')
  const archive = await setting.archive({ 'go.mod': 'module example.com/app\n', 'main.go': 'package main\n\nfunc main() { nothing() }\n' })
  await assert.rejects(
    setting.engine.build({ source: { archive }, image, timeoutMs: 300_000, log: (line) => void log.push(line) }),
    (error) => error instanceof BuildFailed && /go ended with 1/.test(error.message),
  )
  assert.ok(log.some((line) => line.includes('undefined: nothing')))
  assert.equal(has('ls', image), false)
})
