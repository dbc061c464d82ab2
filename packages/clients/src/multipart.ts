export type Part = { readonly name: string; readonly value: string; readonly type?: string }

/** A multipart/form-data body. `boundary` must occur in no value; a random one of 24 characters does not. */
export function multipart(parts: readonly Part[], boundary: string): { readonly type: string; readonly bytes: string } {
  const blocks = parts.map(({ name, value, type }) => {
    if (/["\r\n]/.test(name) || /[\r\n]/.test(type ?? '')) throw new Error('a part name or type holds a quote or a line break')
    const typeLine = type === undefined ? '' : `Content-Type: ${type}\r\n`
    return `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n${typeLine}\r\n${value}\r\n`
  })
  return { type: `multipart/form-data; boundary=${boundary}`, bytes: `${blocks.join('')}--${boundary}--\r\n` }
}
