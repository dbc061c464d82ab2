import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { platformForAll } from '../support/for-all.ts'
import { couldNotRun, eventually, freshHome, type Running } from '../support/platform.ts'

const [REGION, BUCKET] = ['eu-es', 'written-by-jobs']
const ENDPOINT = `s3.direct.${REGION}.cloud-object-storage.appdomain.cloud`

/** Jobs with IBM's Object Storage clients as IBM's documents make them: service credentials, IBM's names, and nothing that knows of Everleaf. */
const JOBS: Readonly<Record<string, { readonly files: Readonly<Record<string, string>>; readonly needs: readonly [string, ...string[]] | undefined }>> = {
  python: {
    needs: ['/usr/bin/python3', '-m', 'pip', '--version'],
    files: {
      'requirements.txt': 'ibm-cos-sdk==2.16.2\n',
      'job.py': `
import io, json, os, ibm_boto3
from ibm_botocore.client import Config
given = json.loads(os.environ['COS_CREDENTIALS'])
cos = ibm_boto3.client('s3', ibm_api_key_id=given['apikey'], ibm_service_instance_id=given['resource_instance_id'],
                       config=Config(signature_version='oauth'), endpoint_url='https://${ENDPOINT}')
cos.put_object(Bucket='${BUCKET}', Key='from python', Body=io.BytesIO(b'p' * 3_000_000))
print('read', len(cos.get_object(Bucket='${BUCKET}', Key='from python')['Body'].read()))
print('buckets', [one['Name'] for one in cos.list_buckets()['Buckets']])
`,
    },
  },
  node: {
    needs: undefined,
    files: {
      'package.json': JSON.stringify({ name: 'job', version: '1.0.0', dependencies: { 'ibm-cos-sdk': '1.15.1' }, scripts: { start: 'node job.js' } }),
      'job.js': `
const COS = require('ibm-cos-sdk')
const { apikey, resource_instance_id } = JSON.parse(process.env.COS_CREDENTIALS)
const cos = new COS.S3({ endpoint: '${ENDPOINT}', apiKeyId: apikey, serviceInstanceId: resource_instance_id })
async function main() {
  await cos.putObject({ Bucket: '${BUCKET}', Key: 'from node', Body: Buffer.alloc(3_000_000, 'n') }).promise()
  console.log('read', (await cos.getObject({ Bucket: '${BUCKET}', Key: 'from node' }).promise()).Body.length)
  console.log('buckets', (await cos.listBuckets().promise()).Buckets.map(({ Name }) => Name))
}
main().catch((error) => { console.log(error); process.exit(1) })
`,
    },
  },
}

const place = freshHome()
const { done, json } = ibmcloudOf(place)
let platform: Running
platformForAll(place, (running) => {
  platform = running
})

test('an instance, its credentials, a bucket, a project', { timeout: 120_000 }, async () => {
  await done('resource', 'service-instance-create', 'cos', 'cloud-object-storage', 'standard', 'global')
  const key = await json<{ credentials: Record<string, string> }>('resource', 'service-key-create', 'for-jobs', 'Writer', '--instance-name', 'cos')
  writeFileSync(join(place.home, 'credentials.json'), JSON.stringify(key.credentials))
  await done('cos', 'config', 'crn', '--crn', key.credentials.resource_instance_id ?? '', '--force')
  await done('cos', 'bucket-create', '--bucket', BUCKET, '--class', 'smart', '--region', REGION)
  await done('target', '-r', REGION, '-g', 'Default')
  await done('ce', 'project', 'create', '--name', 'jobs')
  await done('ce', 'secret', 'create', '--name', 'cos', '--from-literal', `COS_CREDENTIALS=${JSON.stringify(key.credentials)}`)
})

for (const [language, { files, needs }] of Object.entries(JOBS))
  test(`a job in ${language} writes and reads its bucket by IBM's client and IBM's names`, { timeout: 300_000 }, async () => {
    if (platform.ports.fixedNames === null) return couldNotRun(`the Object Storage job in ${language}`, "port 443 of the platform's own address cannot be had")
    try {
      if (needs !== undefined) execFileSync(needs[0], needs.slice(1), { stdio: 'ignore' })
    } catch {
      return couldNotRun(`the Object Storage job in ${language}`, 'run tools/system-packages')
    }
    const folder = join(place.home, `job-${language}`)
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(folder, name, '..'), { recursive: true })
      writeFileSync(join(folder, name), text)
    }
    await done('ce', 'job', 'create', '--name', language, '--build-source', folder, '--env-from-secret', 'cos')
    await done('ce', 'jobrun', 'submit', '--job', language, '--name', `${language}-run`, '--retrylimit', '0')
    const status = async () => (await json<{ status: { status: string } }>('ce', 'jobrun', 'get', '--name', `${language}-run`)).status.status
    await eventually('the run is over', async () => /^(completed|failed)$/.test(await status()), 60_000)
    const logs = await done('ce', 'jobrun', 'logs', '--name', `${language}-run`)
    assert.match(logs, /read 3000000/)
    assert.match(logs, new RegExp(`buckets.*${BUCKET}`))
    const file = join(place.home, `from-${language}`)
    await done('cos', 'object-get', '--bucket', BUCKET, '--key', `from ${language}`, file)
    assert.equal(readFileSync(file).length, 3_000_000)
  })
