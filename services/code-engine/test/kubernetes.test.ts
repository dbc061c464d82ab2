import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IndexReport } from '@everleaf/link'
import { newImage, newProject, type Options, startPlatform } from './platform.ts'

const IMAGE = 'private.icr.io/me/app'
const API = 'codeengine.cloud.ibm.com/v1beta1'

/** A project with an image and a job of it; `runs` is where its job runs are in the API of Kubernetes. */
async function start(options: Options = {}) {
  const platform = await startPlatform(options)
  const project = await newProject(platform)
  await newImage(platform, project)
  await platform.call('POST', `${project.at}/jobs`, { body: { name: 'job', image_reference: IMAGE, scale_array_spec: '1-3', run_arguments: ['a'] } })
  const namespace = String((await platform.call('GET', project.at)).headers['everleaf-subdomain'])
  return { ...platform, platform, project, namespace, runs: `/apis/${API}/namespaces/${namespace}/jobruns` }
}

const objectOf = (name: string, spec: object, metadata: object = {}) => ({ apiVersion: API, kind: 'JobRun', metadata: { name, ...metadata }, spec })
const report = (index: number, status: IndexReport['status']): IndexReport => ({ index, status, retries: 0, startedAt: 1_000, finishedAt: 2_000, reason: '' })

test('a job run made in the API of Kubernetes is the one of the REST API, and the other way round', async () => {
  const { kubernetes, call, runs, project, namespace, edge, world } = await start()
  const created = world.now().toISOString().replace('.000Z', 'Z')
  const { status, body } = await kubernetes('POST', runs, { body: objectOf('job-5577006791947779410', { jobDefinitionRef: 'job' }, { namespace }) })
  assert.equal(status, 201)
  const { uid } = body.metadata
  assert.deepEqual(body, {
    apiVersion: API,
    kind: 'JobRun',
    metadata: { name: 'job-5577006791947779410', namespace, uid, creationTimestamp: created },
    spec: {
      jobDefinitionRef: 'job',
      jobDefinitionSpec: {
        arraySpec: '1-3',
        retryLimit: 3,
        maxExecutionTime: 7_200,
        template: {
          containers: [
            {
              name: 'job',
              image: IMAGE,
              command: [],
              args: ['a'],
              env: [],
              envFrom: [],
              resources: { requests: { cpu: '1', memory: '4G', 'ephemeral-storage': '400M' } },
            },
          ],
          serviceAccountName: 'default',
        },
      },
    },
    status: {
      requested: 3,
      pending: 0,
      running: 0,
      succeeded: 0,
      failed: 0,
      unknown: 0,
      conditions: [{ type: 'Pending', status: 'True', lastProbeTime: created, lastTransitionTime: created }],
    },
  })
  const rest = (await call('GET', `${project.at}/job_runs/job-5577006791947779410`)).body
  assert.deepEqual([rest.id, rest.job_name, rest.scale_array_spec, rest.run_arguments], [uid, 'job', '1-3', ['a']])
  assert.equal(edge.item('job-run', uid)?.value.size, 3)
  await call('POST', `${project.at}/job_runs`, { body: { name: 'alone', image_reference: IMAGE } })
  assert.equal((await kubernetes('GET', `${runs}/alone`)).body.spec.jobDefinitionRef, undefined)
  assert.deepEqual(
    (await kubernetes('GET', runs)).body.items.map((one: { metadata: { name: string } }) => one.metadata.name),
    ['alone', 'job-5577006791947779410'],
  )
})

test('the conditions and counts follow the run to its end', async () => {
  const { kubernetes, runs, codeEngine } = await start()
  const { uid } = (await kubernetes('POST', runs, { body: objectOf('run', { jobDefinitionRef: 'job' }) })).body.metadata
  const seen = async () => {
    const { conditions, requested, running, succeeded, failed, ...rest } = (await kubernetes('GET', `${runs}/run`)).body.status
    return [conditions.map(({ type }: { type: string }) => type), { requested, running, succeeded, failed }, rest]
  }
  await codeEngine.recordIndices([{ run: uid, indices: [report(1, 'running')] }])
  assert.deepEqual((await seen()).slice(0, 2), [['Pending', 'Running'], { requested: 2, running: 1, succeeded: 0, failed: 0 }])
  await codeEngine.recordIndices([{ run: uid, indices: [report(1, 'succeeded'), report(2, 'succeeded'), report(3, 'failed')] }])
  const [types, counts, rest] = await seen()
  assert.deepEqual([types, counts], [['Pending', 'Running', 'Failed'], { requested: 0, running: 0, succeeded: 2, failed: 1 }])
  assert.deepEqual([rest.succeededIndices, rest.failedIndices, rest.startTime], ['1-2', '3', '1970-01-01T00:00:01Z'])
  const { uid: other } = (await kubernetes('POST', runs, { body: objectOf('other', { jobDefinitionRef: 'job' }) })).body.metadata
  await codeEngine.recordIndices([{ run: other, indices: [1, 2, 3].map((index) => report(index, 'succeeded')) }])
  assert.deepEqual((await kubernetes('GET', `${runs}/other`)).body.status.conditions.at(-1).type, 'Complete')
})

test('a jobDefinitionSpec overrides what the job says, and does without one', async () => {
  const { kubernetes, call, runs, project, namespace } = await start()
  await call('POST', `${project.at}/secrets`, { body: { name: 'keys', format: 'generic', data: { A: '1' } } })
  const container = {
    name: 'x',
    image: IMAGE,
    command: ['node'],
    args: ['b'],
    env: [
      { name: 'ONE', value: '1' },
      { name: 'TWO', valueFrom: { secretKeyRef: { name: 'keys', key: 'A' } } },
    ],
    envFrom: [{ prefix: 'P_', secretRef: { name: 'keys' } }],
    resources: { requests: { cpu: '0.125', memory: '0.25G' } },
  }
  const own = { arraySpec: '1, 4 - 5', retryLimit: 1, maxExecutionTime: 60, template: { containers: [container], serviceAccountName: `${namespace}-reader` } }
  const { status, body } = await kubernetes('POST', runs, { body: objectOf('alone', { jobDefinitionSpec: own }) })
  assert.equal(status, 201, JSON.stringify(body))
  const rest = (await call('GET', `${project.at}/job_runs/alone?version=2026-02-20`)).body
  assert.deepEqual(
    [rest.scale_array_spec, rest.scale_retry_limit, rest.scale_max_execution_time, rest.run_commands, rest.run_arguments, rest.run_service_account],
    ['1,4-5', 1, 60, ['node'], ['b'], 'reader'],
  )
  assert.deepEqual(rest.run_env_variables, [
    { type: 'literal', name: 'ONE', value: '1' },
    { type: 'secret_key_reference', name: 'TWO', key: 'A', reference: 'keys' },
    { type: 'secret_full_reference', reference: 'keys', prefix: 'P_' },
  ])
  const shown = body.spec.jobDefinitionSpec.template.containers[0]
  assert.deepEqual([shown.env, shown.envFrom], [container.env, container.envFrom])
  const over = { jobDefinitionRef: 'job', jobDefinitionSpec: { arraySpec: '7', template: { containers: [{ name: 'x', args: ['c'] }] } } }
  const overridden = (await kubernetes('POST', runs, { body: objectOf('over', over) })).body.spec.jobDefinitionSpec
  assert.deepEqual([overridden.arraySpec, overridden.retryLimit, overridden.template.containers[0].args], ['7', 3, ['c']])
})

test('a generateName is completed, and what a program in Go sends empty is taken', async () => {
  const { kubernetes, runs } = await start()
  const body = {
    apiVersion: API,
    kind: 'JobRun',
    metadata: { generateName: 'run-', creationTimestamp: null },
    spec: { jobDefinitionRef: 'job', jobDefinitionSpec: { template: {} } },
    status: {},
  }
  const made = await kubernetes('POST', runs, { body })
  assert.equal(made.status, 201, made.text)
  assert.match(made.body.metadata.name, /^run-[0-9a-z]{5}$/)
})

test('what cannot be done is refused as a Status that names the place, and makes no run', async () => {
  const { kubernetes, runs } = await start()
  const good = objectOf('run', { jobDefinitionRef: 'job' })
  const ofSpec = (spec: object) => objectOf('run', { jobDefinitionSpec: spec })
  const cases: readonly (readonly [body: object, status: number, field: string | undefined])[] = [
    [objectOf('run', { jobDefinitionRef: 'nobody' }), 422, 'spec.jobDefinitionRef'],
    [objectOf('run', { jobDefinitionRef: 'job', parallelism: 3 }), 422, 'spec.parallelism'],
    [objectOf('run', { jobDefinitionRef: 'job' }, { labels: { a: 'b' } }), 422, 'metadata.labels'],
    [{ ...good, kind: 'Job' }, 422, 'kind'],
    [{ ...good, apiVersion: 'v1' }, 422, 'apiVersion'],
    [objectOf('Not A Name', { jobDefinitionRef: 'job' }), 422, 'metadata.name'],
    [{ ...good, metadata: {} }, 422, 'metadata.name'],
    [objectOf('run', {}), 422, 'spec.jobDefinitionSpec.template.containers[0].image'],
    [ofSpec({ arraySpec: '9-1', template: { containers: [{ image: IMAGE }] } }), 422, 'spec.jobDefinitionSpec.arraySpec'],
    [ofSpec({ retryLimit: 9, template: { containers: [{ image: IMAGE }] } }), 422, 'spec.jobDefinitionSpec.retryLimit'],
    [ofSpec({ template: { containers: [{ image: IMAGE, volumeMounts: [] }] } }), 422, 'spec.jobDefinitionSpec.template.containers[].volumeMounts'],
    [
      objectOf('run', { jobDefinitionRef: 'job', jobDefinitionSpec: { template: { serviceAccountName: 'manager' } } }),
      422,
      'spec.jobDefinitionSpec.template.serviceAccountName',
    ],
    [objectOf('run', { jobDefinitionRef: 'job' }, { namespace: 'other' }), 400, undefined],
  ]
  for (const [body, status, field] of cases) {
    const reply = await kubernetes('POST', runs, { body })
    assert.deepEqual([reply.status, reply.body.kind, reply.body.code, reply.body.details?.causes[0].field], [status, 'Status', status, field], reply.text)
    assert.ok(field === undefined || reply.body.message.includes(field), reply.text)
  }
  assert.deepEqual((await kubernetes('GET', runs)).body.items, [])
})

test('a name that is taken, one that is not there, and a full project', async () => {
  const { kubernetes, runs } = await start({ settings: { quotas: { jobRuns: 1 } } })
  await kubernetes('POST', runs, { body: objectOf('run', { jobDefinitionRef: 'job' }) })
  const refusal = async (method: string, at: string, body?: object) => {
    const reply = await kubernetes(method, at, { body })
    return [reply.status, reply.body.reason, reply.body.status]
  }
  assert.deepEqual(await refusal('GET', `${runs}/absent`), [404, 'NotFound', 'Failure'])
  assert.deepEqual(await refusal('DELETE', `${runs}/absent`), [404, 'NotFound', 'Failure'])
  assert.deepEqual(await refusal('POST', runs, objectOf('second', { jobDefinitionRef: 'job' })), [409, 'Conflict', 'Failure'])
  const { kubernetes: other, runs: theirs } = await start()
  await other('POST', theirs, { body: objectOf('run', { jobDefinitionRef: 'job' }) })
  const again = await other('POST', theirs, { body: objectOf('run', { jobDefinitionRef: 'job' }) })
  assert.deepEqual([again.status, again.body.reason], [409, 'AlreadyExists'])
})

test('a deletion stops the run and says so; one that is only to be tried deletes nothing', async () => {
  const { kubernetes, runs, edge } = await start()
  const { uid } = (await kubernetes('POST', runs, { body: objectOf('run', { jobDefinitionRef: 'job' }) })).body.metadata
  for (const [at, body] of [
    [`${runs}/run?dryRun=All`, undefined],
    [`${runs}/run`, { dryRun: ['All'] }],
    [`${runs}/run`, { preconditions: { uid: 'another' } }],
  ] as const)
    assert.equal((await kubernetes('DELETE', at, { body })).status, 501)
  assert.ok(edge.item('job-run', uid))
  const { status, body } = await kubernetes('DELETE', `${runs}/run`, { body: { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Background' } })
  assert.deepEqual([status, body.status, body.details], [200, 'Success', { name: 'run', group: 'codeengine.cloud.ibm.com', kind: 'jobruns', uid }])
  assert.equal(edge.item('job-run', uid), undefined)
})

test('each change leaves the audit line of its action, and a refused one none', async () => {
  const { kubernetes, runs, namespace, store } = await start()
  await kubernetes('POST', runs, { body: objectOf('run', { jobDefinitionRef: 'job' }) })
  await kubernetes('POST', runs, { body: objectOf('run', { jobDefinitionRef: 'job' }) })
  await kubernetes('DELETE', `${runs}/run`)
  const rows = await store.tables<{ store_audit: { line: string } }>().selectFrom('store_audit').select('line').orderBy('line').execute()
  const lines = rows.map(({ line }) => JSON.parse(line) as { action: string; object: string; actor: string }).filter(({ object }) => object.includes(namespace))
  assert.deepEqual(
    lines.map(({ action, object, actor }) => [action, object, actor]),
    [
      ['codeengine.tenant.entities.create', `codeengine:${namespace}`, 'IBMid-me'],
      ['codeengine.tenant.entities.delete', `codeengine:${namespace}/run`, 'IBMid-me'],
    ],
  )
})

test('lists come in pages', async () => {
  const { kubernetes, runs } = await start()
  for (const name of ['a', 'b', 'c']) await kubernetes('POST', runs, { body: objectOf(name, { jobDefinitionRef: 'job' }) })
  const page = async (query: string) => {
    const { items, metadata } = (await kubernetes('GET', `${runs}?${query}`)).body
    return [items.map((one: { metadata: { name: string } }) => one.metadata.name), metadata.continue] as const
  }
  const [first, next] = await page('limit=2')
  assert.deepEqual(first, ['a', 'b'])
  assert.deepEqual(await page(`limit=2&continue=${next}`), [['c'], undefined])
})

test('what else there is in Kubernetes answers 501 and names itself', async () => {
  const { kubernetes, runs } = await start()
  for (const [method, at, named] of [
    ['GET', '/api', 'GET /api '],
    ['GET', '/apis', 'GET /apis '],
    ['GET', '/api/v1/namespaces/x/pods', 'GET /api/v1/namespaces/x/pods '],
    ['POST', `/apis/${API}/namespaces/x/jobdefinitions`, `POST /apis/${API}/namespaces/x/jobdefinitions `],
    ['PUT', `${runs}/run`, `PUT ${runs}/run `],
    ['PATCH', `${runs}/run`, `PATCH ${runs}/run `],
    ['DELETE', runs, `DELETE ${runs} `],
    ['GET', `${runs}/run/status`, `GET ${runs}/run/status `],
    ['GET', `${runs}?watch=true`, '"watch"'],
    ['GET', `${runs}?labelSelector=a%3Db`, '"labelSelector"'],
    ['POST', `${runs}?dryRun=All`, '"dryRun"'],
  ] as const) {
    const { status, body } = await kubernetes(method, at, method === 'POST' ? { body: {} } : {})
    assert.deepEqual([status, body.kind, body.status], [501, 'Status', 'Failure'], at)
    assert.ok(body.message.includes(named), body.message)
  }
})

test('the guard is asked about the project of the namespace, and what it refuses is a Status in words for whoever runs an app', async () => {
  const asked: unknown[] = []
  const only = { authorize: async (_: unknown, action: string, resource: object) => asked.push([action, resource]) < 2 }
  const { kubernetes, runs, project } = await start({
    guard: { authorize: async (...call) => (call[1].startsWith('codeengine.tenant.entities.read') ? await only.authorize(...call) : true) },
  })
  assert.equal((await kubernetes('GET', runs)).status, 200)
  const { status, body } = await kubernetes('GET', `/apis/${API}/namespaces/nobody/jobruns`)
  assert.deepEqual([status, body.kind, body.reason, body.code], [403, 'Status', 'Forbidden', 403])
  assert.match(body.message, /--service-account writer/)
  const instances = asked.map((one) => (one as [string, { instance?: string }])[1].instance)
  assert.deepEqual(instances, [project.id, undefined])
  const nobody = await kubernetes('GET', runs, { token: '' })
  assert.deepEqual([nobody.status, nobody.body.reason], [401, 'Unauthorized'])
})

test('the service account of an app and of a job reaches the edge by its name and namespace; none reaches nobody', async () => {
  const { call, project, edge, namespace, kubernetes, runs } = await start()
  for (const [name, account] of [
    ['plain', undefined],
    ['reads', 'reader'],
    ['alone', 'none'],
  ] as const) {
    await call('POST', `${project.at}/apps`, { body: { name, image_reference: IMAGE, ...(account === undefined ? {} : { run_service_account: account }) } })
    const { id, run_service_account } = (await call('GET', `${project.at}/apps/${name}`)).body
    assert.equal(run_service_account, account ?? 'default')
    const expected = account === 'none' ? undefined : { name: account ?? 'default', namespace }
    assert.deepEqual(edge.item('workload', id)?.value.revisions[0]?.serviceAccount, expected, name)
  }
  await call('PATCH', `${project.at}/jobs/job`, { body: { run_service_account: 'writer' }, match: '*' })
  const { uid } = (await kubernetes('POST', runs, { body: objectOf('run', { jobDefinitionRef: 'job' }) })).body.metadata
  assert.deepEqual(edge.item('job-run', uid)?.value.serviceAccount, { name: 'writer', namespace })
})

test("the cluster's names are nobody's to map", async () => {
  const { call, project } = await start()
  await call('POST', `${project.at}/apps`, { body: { name: 'app', image_reference: IMAGE } })
  for (const name of ['kubernetes.default.svc', 'kubernetes.default', 'kubernetes.default.svc.cluster.local', 'other.svc']) {
    const { status } = await call('POST', `${project.at}/domain_mappings`, {
      body: { name, component: { name: 'app', resource_type: 'app_v2' }, tls_secret: 's' },
    })
    assert.equal(status, 400, name)
  }
})
