import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { makeBucket } from '../authz/places.ts'
import { deploy, webApp } from '../support/pipeline.ts'
import { couldNotRun, eventually, freshHome, startPlatform } from '../support/platform.ts'
import { get } from '../support/tls.ts'

/** Answers with the address of the name in its path; SUBDOMAIN stands for its project's. */
const LOOKS_UP = webApp(
  `require('dns').lookup(request.url.slice(1).replace('SUBDOMAIN', process.env.CE_SUBDOMAIN), (error, address) => response.end(error ? error.code : address))`,
)
const CLUSTER = 'later.SUBDOMAIN.svc.cluster.local'
const BUCKET = 'later-bucket.s3.direct.eu-de.cloud-object-storage.appdomain.cloud'

test('an instance that runs finds the names of apps and buckets that come later, and no longer when they are gone', { timeout: 120_000 }, async () => {
  using place = freshHome()
  await using platform = await startPlatform(place)
  const { fixedNames, clusterNames } = platform.ports
  if (fixedNames === null || clusterNames === null)
    return couldNotRun('names in running instances', "ports 80 and 443 of the platform's own address, or a hosts file of instances, cannot be had")
  const endpoint = await deploy(platform, 'caller', LOOKS_UP, { scale_min_instances: 1 })
  const ca = readFileSync(String(platform.env.SSL_CERT_FILE), 'utf8')
  const found = (name: string) => get(new URL(endpoint).hostname, platform.ports.public, ca, `/${name}`)
  assert.notEqual(await found(CLUSTER), clusterNames)
  assert.notEqual(await found(BUCKET), fixedNames)

  await deploy(platform, 'later', webApp(`response.end('later')`))
  const { objectStorage, bucket } = await makeBucket(platform, { token: await platform.token(), name: 'later' })
  assert.equal(bucket, 'later-bucket')
  await eventually('the app is found', async () => (await found(CLUSTER)) === clusterNames, 10_000)
  await eventually('the bucket is found', async () => (await found(BUCKET)) === fixedNames, 10_000)

  const project = `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
  assert.equal((await platform.api('DELETE', `${project}/apps/later`)).status, 202)
  assert.ok((await platform.api('DELETE', `${platform.env.RESOURCE_CONTROLLER_URL}/v2/resource_instances/${objectStorage}?recursive=true`)).status < 300)
  await eventually('neither is found', async () => (await found(CLUSTER)) !== clusterNames && (await found(BUCKET)) !== fixedNames, 10_000)
})
