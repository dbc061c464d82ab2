import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { platformForAll } from '../support/for-all.ts'
import { couldNotRun, eventually, freshHome, type Running } from '../support/platform.ts'

/**
 * 'Accessing IBM Cloud services from Code Engine using a trusted profile', its commands in their order. The job is built from source, as no image can be
 * pulled; it lists the bucket with no stored credential, by IBM's SDK core and IBM's host names fixed in the code.
 */
const JOBS: Readonly<Record<string, { readonly files: Readonly<Record<string, string>>; readonly needs: readonly [string, ...string[]] | undefined }>> = {
  python: {
    needs: ['/usr/bin/python3', '-m', 'pip', '--version'],
    files: {
      'requirements.txt': 'ibm-cloud-sdk-core==3.28.0\nrequests==2.32.5\n',
      'job.py': `
import os, re, requests
from ibm_cloud_sdk_core.authenticators import ContainerAuthenticator
login = ContainerAuthenticator(iam_profile_name=os.environ['TRUSTED_PROFILE_NAME'], url='https://iam.cloud.ibm.com')
region, bucket = os.environ['COS_REGION'], os.environ['COS_BUCKET']
found = requests.get(f'https://s3.direct.{region}.cloud-object-storage.appdomain.cloud/{bucket}', headers={'Authorization': f'Bearer {login.token_manager.get_token()}'})
print('status', found.status_code)
for key in re.findall('<Key>([^<]*)</Key>', found.text):
    print('file', key)
found.raise_for_status()
`,
    },
  },
  node: {
    needs: undefined,
    files: {
      'package.json': JSON.stringify({ name: 'job', version: '1.0.0', dependencies: { 'ibm-cloud-sdk-core': '5.9.1' }, scripts: { start: 'node job.js' } }),
      'job.js': `
const { ContainerAuthenticator } = require('ibm-cloud-sdk-core')
async function main() {
  const login = new ContainerAuthenticator({ iamProfileName: process.env.TRUSTED_PROFILE_NAME, url: 'https://iam.cloud.ibm.com' })
  const request = { headers: {} }
  await login.authenticate(request)
  const url = 'https://s3.direct.' + process.env.COS_REGION + '.cloud-object-storage.appdomain.cloud/' + process.env.COS_BUCKET
  const found = await fetch(url, { headers: { authorization: request.headers.Authorization } })
  console.log('status', found.status)
  for (const [, key] of (await found.text()).matchAll(/<Key>([^<]*)<\\/Key>/g)) console.log('file', key)
  if (!found.ok) process.exit(1)
  const byHost = await fetch('https://' + process.env.COS_BUCKET + '.s3.direct.' + process.env.COS_REGION + '.cloud-object-storage.appdomain.cloud/', { headers: { authorization: request.headers.Authorization } })
  console.log('by host', byHost.status)
}
main().catch((error) => { console.log(error.message); process.exit(1) })
`,
    },
  },
  java: {
    needs: ['mvn', '--version'],
    files: {
      'pom.xml': `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>com.example</groupId><artifactId>job</artifactId><version>1</version>
  <properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
  <dependencies><dependency><groupId>com.ibm.cloud</groupId><artifactId>sdk-core</artifactId><version>9.23.0</version></dependency></dependencies>
  <build><plugins>
    <plugin><artifactId>maven-dependency-plugin</artifactId><version>3.6.1</version><executions><execution>
      <phase>package</phase><goals><goal>copy-dependencies</goal></goals><configuration><outputDirectory>target/lib</outputDirectory></configuration>
    </execution></executions></plugin>
    <plugin><artifactId>maven-jar-plugin</artifactId><version>3.4.2</version><configuration><archive><manifest>
      <addClasspath>true</addClasspath><classpathPrefix>lib/</classpathPrefix><mainClass>Job</mainClass>
    </manifest></archive></configuration></plugin>
  </plugins></build>
</project>`,
      'src/main/java/Job.java': `
import com.ibm.cloud.sdk.core.security.ContainerAuthenticator;
import java.net.URI;
import java.net.http.*;
import java.util.regex.Pattern;

public class Job {
  public static void main(String[] words) throws Exception {
    var login = new ContainerAuthenticator.Builder().iamProfileName(System.getenv("TRUSTED_PROFILE_NAME")).url("https://iam.cloud.ibm.com").build();
    String url = "https://s3.direct." + System.getenv("COS_REGION") + ".cloud-object-storage.appdomain.cloud/" + System.getenv("COS_BUCKET");
    String token;
    try {
      token = login.getToken();
    } catch (RuntimeException refused) {
      System.out.println(refused.getMessage());
      System.exit(1);
      return;
    }
    var request = HttpRequest.newBuilder(URI.create(url)).header("Authorization", "Bearer " + token).build();
    var found = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
    System.out.println("status " + found.statusCode());
    var keys = Pattern.compile("<Key>([^<]*)</Key>").matcher(found.body());
    while (keys.find()) System.out.println("file " + keys.group(1));
    System.exit(found.statusCode() == 200 ? 0 : 1);
  }
}
`,
    },
  },
  go: {
    needs: ['go', 'version'],
    files: {
      'go.mod': 'module example.com/job\n\ngo 1.21\n\nrequire github.com/IBM/go-sdk-core/v5 v5.19.0\n',
      'main.go': `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"

	"github.com/IBM/go-sdk-core/v5/core"
)

func main() {
	login, err := core.NewContainerAuthenticatorBuilder().SetIAMProfileName(os.Getenv("TRUSTED_PROFILE_NAME")).SetURL("https://iam.cloud.ibm.com").Build()
	if err != nil {
		panic(err)
	}
	request, _ := http.NewRequest("GET", fmt.Sprintf("https://s3.direct.%s.cloud-object-storage.appdomain.cloud/%s", os.Getenv("COS_REGION"), os.Getenv("COS_BUCKET")), nil)
	if err := login.Authenticate(request); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	found, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	text, _ := io.ReadAll(found.Body)
	fmt.Println("status", found.StatusCode)
	for _, key := range regexp.MustCompile("<Key>([^<]*)</Key>").FindAllStringSubmatch(string(text), -1) {
		fmt.Println("file", key[1])
	}
	if found.StatusCode != 200 {
		os.Exit(1)
	}
}
`,
    },
  },
}

const place = freshHome()
const cli = ibmcloudOf(place)
const { done } = cli
let platform: Running
platformForAll(place, (running) => {
  platform = running
})

const [REGION, COS, BUCKET, PROJECT, PROFILE] = ['eu-es', 'my-first-cos', 'my-first-bucket-a2khdu', 'trusted-profiles-test', 'code-engine-cos-access']
const lineWith = (text: string, part: string) => text.split('\n').find((line) => line.includes(part)) ?? ''
const crnOf = async (name: string, part: string, ...more: readonly string[]) =>
  lineWith(await done('resource', 'service-instance', name, ...more, '--crn'), part)

/** Runs the job and gives what it wrote; its end may be either. */
async function run(job: string, name: string): Promise<string> {
  await done('ce', 'jobrun', 'submit', '--job', job, '--name', name, '--retrylimit', '0')
  const status = async () => (await cli.json<{ status: { status: string } }>('ce', 'jobrun', 'get', '--name', name)).status.status
  await eventually(`the run ${name} is over`, async () => /^(completed|failed)$/.test(await status()), 60_000)
  return await done('ce', 'jobrun', 'logs', '--name', name)
}

test('a bucket with an object, a project, as the article makes them', { timeout: 120_000 }, async () => {
  await done('resource', 'service-instance-create', COS, 'cloud-object-storage', 'standard', 'global', '-g', 'Default', '-d', 'premium-global-deployment-iam')
  const crn = await crnOf(COS, ':cloud-object-storage:')
  await done('cos', 'config', 'crn', '--crn', crn, '--force')
  await done('cos', 'bucket-create', '--bucket', BUCKET, '--class', 'smart', '--ibm-service-instance-id', crn, '--region', REGION)
  const file = join(place.home, 'helloworld.txt')
  writeFileSync(file, 'Hello World\n')
  await done('cos', 'object-put', '--region', REGION, '--bucket', BUCKET, '--key', 'helloworld.txt', '--body', file)
  await done('target', '-r', REGION, '-g', 'Default')
  await done('ce', 'project', 'create', '--name', PROJECT)
})

for (const [language, { files, needs }] of Object.entries(JOBS))
  test(
    `a job in ${language} lists the bucket by its trusted profile, and is refused without its link, its role, or for another bucket`,
    { timeout: 300_000 },
    async () => {
      if (platform.ports.fixedNames === null)
        return couldNotRun(`the trusted-profile job in ${language}`, "port 443 of the platform's own address cannot be had")
      try {
        if (needs !== undefined) execFileSync(needs[0], needs.slice(1), { stdio: 'ignore' })
      } catch {
        return couldNotRun(`the trusted-profile job in ${language}`, 'run tools/system-packages')
      }
      const folder = join(place.home, `job-${language}`)
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(join(folder, name, '..'), { recursive: true })
        writeFileSync(join(folder, name), text)
      }
      if (language === 'go') execFileSync('go', ['mod', 'tidy'], { cwd: folder, stdio: 'pipe' })
      const job = `list-cos-files-${language}`
      const profile = `${PROFILE}-${language}`
      await done('ce', 'job', 'create', '--name', job, '--build-source', folder, '--env', `COS_REGION=${REGION}`, '--env', `COS_BUCKET=${BUCKET}`)

      const project = await crnOf(PROJECT, ':codeengine:', '--location', REGION, '-g', 'Default')
      const cos = await crnOf(COS, ':cloud-object-storage:')
      await done('iam', 'trusted-profile-create', profile)
      const link = ['--name', `ce-job-${job}`, '--cr-type', 'CE', '--link-crn', project, '--link-component-type', 'job', '--link-component-name', job]
      await done('iam', 'trusted-profile-link-create', profile, ...link)
      const on = ['--service-name', 'cloud-object-storage', '--service-instance', cos, '--resource-type', 'bucket', '--resource', BUCKET]
      await done('iam', 'trusted-profile-policy-create', profile, '--roles', 'Content Reader', ...on)
      await done('ce', 'job', 'update', '--name', job, '--trusted-profiles-enabled=true', '--env', `TRUSTED_PROFILE_NAME=${profile}`)

      await done('ce', 'jobrun', 'submit', '--job', job, '--name', `${job}-run-1`)
      const followed = await done('ce', 'jobrun', 'logs', '--name', `${job}-run-1`, '--follow')
      assert.match(followed, /status 200/)
      assert.match(followed, /file helloworld\.txt/)
      if (language === 'node') assert.match(followed, /by host 200/, 'the name that IBM’s JavaScript client uses')

      await done('ce', 'job', 'update', '--name', job, '--env', 'COS_BUCKET=another-bucket')
      const crn = await crnOf(COS, ':cloud-object-storage:')
      if (!(await done('cos', 'buckets')).includes('another-bucket'))
        await done('cos', 'bucket-create', '--bucket', 'another-bucket', '--ibm-service-instance-id', crn, '--region', REGION)
      assert.match(await run(job, `${job}-run-2`), /status 403/)
      await done('ce', 'job', 'update', '--name', job, '--env', `COS_BUCKET=${BUCKET}`)
      await done('iam', 'trusted-profile-link-delete', profile, `ce-job-${job}`, '-f')
      assert.doesNotMatch(await run(job, `${job}-run-3`), /status 200/)
      await done('iam', 'trusted-profile-link-create', profile, ...link)
      const [policy] = await cli.json<{ id: string }[]>('iam', 'trusted-profile-policies', profile)
      await done('iam', 'trusted-profile-policy-delete', profile, policy?.id ?? '', '-f')
      assert.match(await run(job, `${job}-run-4`), /status 403/)
    },
  )
