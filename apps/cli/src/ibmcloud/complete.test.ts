import assert from 'node:assert/strict'
import { test } from 'node:test'
import { completions, completionScript } from './complete.ts'
import { allFamilies } from './families.ts'

const families = await allFamilies()
const offered = (typed: string) => completions(families, typed.split(' '))
const FILES = [':files']

for (const [typed, words] of [
  ['ce job', ['job', 'jobrun']],
  ['-q ce jobr', ['jobrun']],
  ['iam roles -o ', ['json']],
  ['ce job get -n j -o js', ['json', 'jsonpath=', 'jsonpath-as-json=']],
  ['ce app get -n a --output url', ['url']],
  ['sm secrets --output js', ['json']],
  ['cos bucket-create --class v', ['vault']],
  ['iam trusted-profile-rule-create p --type ', ['Profile-SAML', 'Profile-CR']],
  ['completion ', ['bash', 'zsh', 'fish']],
  ['plugin show code', ['code-engine']],
  ['cos object-put --bucket b --body ', FILES],
  ['iam api-key-create k --file ', FILES],
  ['cos object-get --bucket b --key k ', FILES],
  ['cos object-put --bucket ', []],
  ['iam api-key-create ', []],
  ['iam service-id-update s --uu', []],
  ['iam service-id-update s --na', ['--name']],
  ['cos object-put --bucket b --buck', []],
  ['nosuch ', []],
] as const)
  test(`after "ibmcloud ${typed}" a shell offers ${words.length === 0 ? 'nothing' : words.join(', ')}`, () => {
    assert.deepEqual(offered(typed), words)
  })

test('after all words of a command its options are offered', () => {
  assert.ok(offered('iam api-key-create k ').includes('--file'))
  assert.ok(offered('iam api-key-create -').includes('--file'))
})

test('each script knows what stands for files', () => {
  for (const shell of ['bash', 'zsh', 'fish'] as const) assert.match(completionScript(shell), /:files/)
})
