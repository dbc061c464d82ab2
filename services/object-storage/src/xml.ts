/** Elements with text or elements in them; undefined ones are left out. A name may have attributes behind it. */
export type Xml = readonly [name: string, content: string | number | boolean | readonly (Xml | undefined)[]]

export const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'

/** A document with one root element. */
export function xml([name, content]: Xml, namespace?: string): string {
  const inner = written(content)
  return `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<${name}${namespace === undefined ? '' : ` xmlns="${namespace}"`}>${inner}</${name}>`
}

function written(content: Xml[1]): string {
  if (typeof content !== 'object') return escaped(String(content))
  return content.map((element) => (element === undefined ? '' : `<${element[0]}>${written(element[1])}</${element[0].split(' ')[0]}>`)).join('')
}

/**
 * Characters that XML 1.0 cannot hold are written as references all the same, as S3 writes them: what reads them strictly fails, and nobody is told of a key
 * that is not there. `encoding-type=url` is for those.
 */
function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replace(/[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/g, (character) => `&#x${character.charCodeAt(0).toString(16)};`)
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** The texts of all elements of this name, in the order of a small document of a client's; no document types, no other entities. */
export function textsOf(document: string, name: string): string[] {
  if (/<!DOCTYPE|<!ENTITY/i.test(document)) return []
  return [...document.matchAll(new RegExp(`<${name}(?:\\s[^<>]{0,200})?>([^<]*)</${name}>`, 'g'))].map(([, text = '']) =>
    text.replace(/&(#\d{1,7}|#x[0-9a-fA-F]{1,6}|\w{1,8});/g, (all, entity: string) => {
      if (!entity.startsWith('#')) return ENTITIES[entity] ?? all
      const code = entity.startsWith('#x') ? Number.parseInt(entity.slice(2), 16) : Number(entity.slice(1))
      return code <= 0x10ffff ? String.fromCodePoint(code).toWellFormed() : all
    }),
  )
}
