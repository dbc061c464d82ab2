/** Rows under a head, columns as wide as their widest cell and three spaces apart: scripts cut them with awk. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...lines.map((line) => width(line[column] ?? ''))))
  return lines
    .map((line) =>
      line
        .map((cell, column) => pad(oneLine(cell), widths[column] ?? 0))
        .join('   ')
        .trimEnd(),
    )
    .join('\n')
}

/** `Name:   value` lines; what is undefined is left out. */
export function facts(pairs: readonly (readonly [string, string | number | boolean | undefined])[]): string {
  const shown = pairs.filter((pair): pair is readonly [string, string | number | boolean] => pair[1] !== undefined)
  const widest = Math.max(0, ...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${`${name}:`.padEnd(widest + 1)}   ${oneLine(String(value))}`.trimEnd()).join('\n')
}

// A name that came from somebody else must not move the cursor or start a line of its own.
function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
}

function width(text: string): number {
  return [...oneLine(text)].length
}

function pad(text: string, to: number): string {
  return text + ' '.repeat(Math.max(0, to - width(text)))
}
