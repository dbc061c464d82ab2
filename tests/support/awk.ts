/** What scripts do with lines: the n-th word of one, as awk counts. */
export function word(line: string, n: number): string {
  return line.trim().split(/\s+/)[n - 1] ?? ''
}

/** `grep`: the lines that hold a text, or fit a pattern. */
export function grep(text: string, part: string | RegExp): string[] {
  return text.split('\n').filter((line) => (typeof part === 'string' ? line.includes(part) : part.test(line)))
}

/** `awk '/id/{ print $2 }'` */
export function ids(text: string): string[] {
  return grep(text, /id/).map((line) => word(line, 2))
}
