import type { Context } from '../context.ts'
import type { Command, Flag, Given } from '../grammar.ts'
import { outputFlag, print } from '../output.ts'
import { table } from '../table.ts'
import { WrongUse } from '../wrong-use.ts'
import { ask, BUCKET, counted, elements, REGION } from './client.ts'

type Found = { readonly Key: string; readonly LastModified: string; readonly ETag: string; readonly Size: number; readonly StorageClass: string }
type Listed = { readonly contents: readonly Found[]; readonly prefixes: readonly string[]; readonly next: string | undefined }

const LARGEST_PAGE = 1_000
const FLAGS: readonly Flag[] = [
  { name: 'prefix', value: 'TEXT', about: 'only keys that begin with this' },
  { name: 'delimiter', value: 'TEXT', about: 'keys with this behind the prefix are shown as one, up to it' },
  { name: 'max-items', value: 'NUMBER', about: 'no more than this many' },
  { name: 'page-size', value: 'NUMBER', about: `as many with one request, 1 to ${LARGEST_PAGE}` },
  { name: 'starting-token', value: 'TOKEN', about: 'where a list with --max-items ended' },
]

export const objects: Command = {
  words: ['objects'],
  synonyms: [['list-objects-v2'], ['objects-v2']],
  about: 'the objects of a bucket',
  flags: [BUCKET, ...FLAGS, REGION, outputFlag('json')],
  async run(context, given) {
    const { screen } = context
    const bucket = given.need('bucket')
    const { contents, prefixes, next } = await listed(context, given)
    const shown = {
      Name: bucket,
      Prefix: given.text('prefix') ?? '',
      ...(given.has('delimiter') ? { Delimiter: given.need('delimiter'), CommonPrefixes: prefixes.map((Prefix) => ({ Prefix })) } : {}),
      KeyCount: contents.length + prefixes.length,
      IsTruncated: next !== undefined,
      ...(next === undefined ? {} : { NextToken: next }),
      Contents: contents,
    }
    if (await print(screen, given.text('output'), shown)) return
    screen.note(`OK\nFound ${counted(contents.length, 'object')} in bucket '${bucket}':\n`)
    screen.result(
      table(
        ['Name', 'Last Modified (UTC)', 'Object Size'],
        [...contents.map(({ Key, LastModified, Size }) => [Key, LastModified, `${Size} B`]), ...prefixes.map((prefix) => [prefix, '', ''])],
      ),
    )
    if (next !== undefined) screen.note(`\nThere are more: --starting-token ${next}`)
  },
}

async function listed(context: Context, given: Given): Promise<Listed> {
  const most = positive(given, 'max-items') ?? Number.POSITIVE_INFINITY
  const page = positive(given, 'page-size') ?? LARGEST_PAGE
  if (page > LARGEST_PAGE) throw new WrongUse(`--page-size is at most ${LARGEST_PAGE}.`)
  const contents: Found[] = []
  const prefixes: string[] = []
  let token = given.text('starting-token')
  do {
    const query = new URLSearchParams({
      'list-type': '2',
      prefix: given.text('prefix') ?? '',
      'encoding-type': 'url',
      'max-keys': String(Math.min(page, most - contents.length - prefixes.length)),
      ...(given.has('delimiter') ? { delimiter: given.need('delimiter') } : {}),
      ...(token === undefined ? {} : { 'continuation-token': token }),
    })
    const { text } = await ask(context, { method: 'GET', path: `/${encodeURIComponent(given.need('bucket'))}?${query}` })
    contents.push(...objectsIn(text))
    prefixes.push(...elements(text, 'CommonPrefixes', '<Prefix>([^<]*)</Prefix>').map(decodeURIComponent))
    token = elements(text, 'NextContinuationToken')[0]
  } while (token !== undefined && contents.length + prefixes.length < most)
  return { contents, prefixes, next: token }
}

function objectsIn(text: string): Found[] {
  const [dates, sizes, tags, classes] = ['LastModified', 'Size', 'ETag', 'StorageClass'].map((name) => elements(text, name))
  return elements(text, 'Key').map((key, at) => ({
    Key: decodeURIComponent(key),
    LastModified: dates?.[at] ?? '',
    ETag: tags?.[at] ?? '',
    Size: Number(sizes?.[at]),
    StorageClass: classes?.[at] ?? '',
  }))
}

function positive(given: Given, flag: string): number | undefined {
  const value = given.whole(flag)
  if (value !== undefined && value < 1) throw new WrongUse(`--${flag} is 1 or more.`)
  return value
}
