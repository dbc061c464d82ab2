import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { grep, ids, word } from '../support/awk.ts'
import { asTheSampleMakesThem } from '../support/certificates.ts'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { platformForAll } from '../support/for-all.ts'
import { couldNotRun, eventually, freshHome, type Running } from '../support/platform.ts'

/**
 * The commands of IBM's certificate-renewal sample in their order, with their options, their outputs cut as the script cuts them. The app has the
 * contract of the sample's: an event comes by POST, the secret it names is read from Secrets Manager and put into a Code Engine secret, with
 * IBM's host names fixed in the code.
 */
const PYTHON_APP = {
  'requirements.txt': 'flask==3.1.2\nibm-cloud-sdk-core==3.28.0\nibm-secrets-manager-sdk==2.1.19\nibm-code-engine-sdk==6.0.6\n',
  'app.py': `
import os
from flask import Flask, request
from ibm_cloud_sdk_core.authenticators import IAMAuthenticator
from ibm_secrets_manager_sdk.secrets_manager_v2 import SecretsManagerV2
from ibm_code_engine_sdk.code_engine_v2 import CodeEngineV2

app = Flask(__name__)
login = IAMAuthenticator(os.environ['IAM_API_KEY'], url='https://iam.cloud.ibm.com')
manager = SecretsManagerV2(authenticator=login)
manager.set_service_url(os.environ['SM_ENDPOINT'])
engine = CodeEngineV2(authenticator=login)
engine.set_service_url(f"https://api.{os.environ['CE_REGION']}.codeengine.cloud.ibm.com/v2")

@app.post('/')
def renew():
    event = request.get_json(force=True)
    for named in event['data']['secrets']:
        found = manager.get_secret(id=named['secret_id']).get_result()
        project, name = os.environ['CE_PROJECT_ID'], os.environ['CE_SECRET']
        there = engine.get_secret(project_id=project, name=name).get_result()
        engine.replace_secret(project_id=project, name=name, if_match=there['entity_tag'], format='tls',
                              data={'tls_cert': found['certificate'], 'tls_key': found['private_key']})
        print('replaced', name, 'for', named['secret_name'], flush=True)
    return {'done': True}

app.run(host='127.0.0.1', port=int(os.environ['PORT']))
`,
}

const GO_APP = {
  'go.mod': `module example.com/renewal\n\ngo 1.21\n\nrequire github.com/IBM/go-sdk-core/v5 v5.19.0\n`,
  'main.go': `package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/IBM/go-sdk-core/v5/core"
)

type secret struct {
	Certificate string \`json:"certificate"\`
	PrivateKey  string \`json:"private_key"\`
	EntityTag   string \`json:"entity_tag"\`
}

func call(login core.Authenticator, method, url, tag string, body any, into any) error {
	text, _ := json.Marshal(body)
	request, err := http.NewRequest(method, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if tag != "" {
		request.Header.Set("If-Match", tag)
	}
	if err := login.Authenticate(request); err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	if response.StatusCode > 299 {
		return fmt.Errorf("%s %s: %d %s", method, url, response.StatusCode, answer)
	}
	return json.Unmarshal(answer, into)
}

func main() {
	login, err := core.NewIamAuthenticatorBuilder().SetApiKey(os.Getenv("IAM_API_KEY")).SetURL("https://iam.cloud.ibm.com").Build()
	if err != nil {
		panic(err)
	}
	target := fmt.Sprintf("https://api.%s.codeengine.cloud.ibm.com/v2/projects/%s/secrets/%s", os.Getenv("CE_REGION"), os.Getenv("CE_PROJECT_ID"), os.Getenv("CE_SECRET"))
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		var event struct {
			Data struct {
				Secrets []struct {
					ID   string \`json:"secret_id"\`
					Name string \`json:"secret_name"\`
				} \`json:"secrets"\`
			} \`json:"data"\`
		}
		err := json.NewDecoder(r.Body).Decode(&event)
		for _, named := range event.Data.Secrets {
			var found, there, done secret
			if err == nil {
				err = call(login, "GET", os.Getenv("SM_ENDPOINT")+"/api/v2/secrets/"+named.ID, "", nil, &found)
			}
			if err == nil {
				err = call(login, "GET", target, "", nil, &there)
			}
			if err == nil {
				data := map[string]string{"tls_cert": found.Certificate, "tls_key": found.PrivateKey}
				err = call(login, "PUT", target, there.EntityTag, map[string]any{"format": "tls", "data": data}, &done)
			}
			fmt.Println("replaced", os.Getenv("CE_SECRET"), "for", named.Name)
		}
		if err != nil {
			fmt.Println(err)
			http.Error(w, err.Error(), 500)
		}
	})
	panic(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
`,
}

const place = freshHome()
let platform: Running
platformForAll(place, (running) => {
  platform = running
})

const [APP, SECRET, KEY_SECRET] = ['ce-app', 'ce-cert', 'ce-en-secret']
const [EN, SM, REGION] = ['en-instance', 'sm-instance', 'au-syd']
const [SOURCE, TOPIC, DESTINATION, SUBSCRIPTION, CERT] = [
  'en-rotate-cert-source',
  'en-rotate-cert-topic',
  'en-rotate-cert-destination',
  'en-rotate-cert-sub',
  'sm-cert',
]
const plain = ibmcloudOf(place)

async function clean(): Promise<void> {
  await plain.done('ce', 'app', 'delete', '-n', APP, '-f', '--ignore-not-found')
  for (const secret of [SECRET, KEY_SECRET, SECRET]) await plain.done('ce', 'secret', 'delete', '-n', secret, '-f', '--ignore-not-found')
}

/** All of the script; gives what it would leave in the project. */
async function script(folder: string, pair: { key: string; first: string; second: string }): Promise<void> {
  const plugins = grep(await plain.done('plugin', 'list'), /secrets-manager|event-notifications|code-engine/)
  assert.equal(plugins.length, 3)
  const instances = async () => await plain.done('resource', 'service-instances', '--location', REGION, '-q')
  if (grep(await instances(), EN).length === 0) await plain.done('resource', 'service-instance-create', EN, 'event-notifications', 'lite', REGION)
  if (grep(await instances(), SM).length === 0) await plain.done('resource', 'service-instance-create', SM, 'secrets-manager', 'trial', REGION)
  const about = async (name: string) => {
    const [found] = await plain.json<{ guid: string; id: string; state: string }[]>('resource', 'service-instance', name, '--location', REGION, '-q')
    assert.equal(found?.state, 'active')
    return found
  }
  const [en, sm] = [await about(EN), await about(SM)]
  const url = `https://${sm.guid}.${REGION}.secrets-manager.appdomain.cloud`
  const cli = ibmcloudOf(place, { SECRETS_MANAGER_URL: url, IBMCLOUD_EN_ENDPOINT: `https://${REGION}.event-notifications.cloud.ibm.com/event-notifications` })

  const prototype = JSON.stringify({ name: CERT, secret_type: 'imported_cert', certificate: pair.first, private_key: pair.key })
  const { id } = await cli.json<{ id: string }>('secrets-manager', 'secret-create', `--secret-prototype=${prototype}`, '--quiet')
  const policies = await cli.json<{ resources: { attributes: { name: string; value: string }[] }[] }[]>('iam', 'authorization-policies')
  if (!policies.some(({ resources }) => resources[0]?.attributes.some(({ name, value }) => name === 'serviceInstance' && value === en.guid)))
    await cli.done(
      ...['iam', 'authorization-policy-create', 'secrets-manager', 'event-notifications', 'Event Source Manager'],
      ...['--source-service-instance-id', sm.guid, '--target-service-instance-id', en.guid, '--quiet'],
    )
  const registered = await cli('secrets-manager', 'notifications-registration', '-q', '--output', 'json')
  const crn =
    registered.status === 0 ? (JSON.parse(registered.stdout) as { event_notifications_instance_crn: string }).event_notifications_instance_crn : 'false'
  if (crn !== en.id)
    await cli.done(
      ...['secrets-manager', 'notifications-registration-create', '--event-notifications-instance-crn', en.id, '--event-notifications-source-name', SOURCE],
      ...['--region', REGION, '--instance-id', sm.guid, '-q'],
    )
  await cli.done('en', 'init', `--instance-id=${en.guid}`)
  let topic = word(grep(await cli.done('en', 'topics', '--instance-id', en.guid), TOPIC)[0] ?? '', 8)
  if (topic === '') {
    const filters = {
      event_type_filter: "$.type == 'com.ibm.cloud.secrets-manager.secret_rotated'",
      notification_filter: `$.data.secrets[0].secret_name == '${CERT}'`,
    }
    const sources = JSON.stringify([{ id: sm.id, rules: [{ enabled: true, ...filters }] }])
    const made = await cli.done('en', 'topic-create', `--instance-id=${en.guid}`, `--name=${TOPIC}`, '--description=This is a topic', `--sources=${sources}`)
    topic = ids(made).join('\n')
  }
  await cli.done('ce', 'secret', 'create', '--name', KEY_SECRET, '--from-literal', `IAM_API_KEY=${platform.env.IBMCLOUD_API_KEY}`, '--quiet')
  const files = { chain: join(place.home, 'test-cert.pem'), key: join(place.home, 'test-key.key') }
  writeFileSync(files.chain, pair.first)
  writeFileSync(files.key, pair.key, { mode: 0o600 })
  await cli.done('ce', 'secret', 'create', '--name', SECRET, '--quiet', '--format', 'tls', '--cert-chain-file', files.chain, '--private-key-file', files.key)
  await cli.done(
    ...['ce', 'application', 'create', '--name', APP, '--build-strategy=buildpacks', '--build-source', folder],
    ...['-e', `CE_SECRET=${SECRET}`, '-e', `EN_REGION=${REGION}`, '-e', `SM_ENDPOINT=${url}`, '--env-from-secret', KEY_SECRET],
  )
  const endpoint = (await cli.done('ce', 'app', 'get', '-n', APP, '-o', 'url')).trim()
  assert.match(endpoint, /^https:\/\/\S+$/)
  let destination = word(grep(await cli.done('en', 'destinations', '--instance-id', en.guid), DESTINATION)[0] ?? '', 5)
  if (destination === '') {
    const config = `{"params": {"type":"application","url":"${endpoint}", "verb": "post", "custom_headers": {}, "sensitive_headers": []}}`
    destination = ids(
      await cli.done('en', 'destination-create', `--instance-id=${en.guid}`, `--name=${DESTINATION}`, '--type=ibmce', `--config=${config}`),
    ).join('\n')
  }
  if (grep(await cli.done('en', 'subscriptions', '--instance-id', en.guid), SUBSCRIPTION).length === 0)
    await cli.done('en', 'subscription-create', `--name=${SUBSCRIPTION}`, `--destination-id=${destination}`, `--topic-id=${topic}`, `--instance-id=${en.guid}`)
  const version = JSON.stringify({
    certificate: pair.second,
    private_key: pair.key,
    custom_metadata: { anyKey: 'anyValue' },
    version_custom_metadata: { anyKey: 'anyValue' },
  })
  await cli.done('secrets-manager', 'secret-version-create', `--secret-id=${id}`, `--secret-version-prototype=${version}`)

  // The script sleeps for a hundred seconds here.
  const secret = `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}/secrets/${SECRET}`
  const held = async () => ((await platform.api('GET', secret)).body.data as { tls_cert: string }).tls_cert
  await eventually('the certificate has been replaced', async () => (await held()).trim() === pair.second.trim(), 60_000)
  const logs = await cli.done('ce', 'app', 'logs', '--n', APP)
  assert.match(logs, new RegExp(`^${APP}-\\S+/user-container:$`, 'm'))
  assert.match(logs, new RegExp(`replaced ${SECRET} for ${CERT}`))
  await cli.done('secrets-manager', 'secret-delete', '--id', id, '-f')
}

const tools = { python: ['/usr/bin/python3', '-m', 'pip', '--version'], go: ['go', 'version'] } as const
for (const [language, files] of [
  ['python', PYTHON_APP],
  ['go', GO_APP],
] as const)
  test(`the sample's script with an app in ${language}: it runs, is cleaned, and runs once more`, { timeout: 600_000 }, async () => {
    const pair = asTheSampleMakesThem()
    if (pair === undefined) return couldNotRun("IBM's sample script", 'there is no openssl')
    if (platform.ports.fixedNames === null) return couldNotRun("IBM's sample script", "port 443 of the platform's own address cannot be had")
    const [tool, ...args] = tools[language]
    try {
      execFileSync(tool, args, { stdio: 'ignore' })
    } catch {
      return couldNotRun(`IBM's sample script with an app in ${language}`, 'run tools/system-packages')
    }
    const folder = join(place.home, `sample-${language}`)
    mkdirSync(folder)
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    if (language === 'go') execFileSync('go', ['mod', 'tidy'], { cwd: folder, stdio: 'pipe' })
    for (const _ of ['first', 'once more']) {
      await script(folder, pair)
      await clean()
      assert.equal((await plain('ce', 'app', 'get', '-n', APP)).status, 1)
    }
  })
