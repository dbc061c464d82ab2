import type { Compilable, CompiledQuery, Kysely } from 'kysely'

type Value = string | number | null

/**
 * A query that is built once, for those that nearly every request asks: building one takes longer than SQLite does to find a row by its key.
 * `build` is called with placeholders, each of which it gives to the query as it is, as often as it likes; what comes back takes the values
 * in the same order and gives the rows.
 */
export function prepared<Tables, Values extends readonly Value[], Row>(
  build: (db: Kysely<Tables>, ...values: Values) => Compilable<Row>,
): (db: Kysely<Tables>, ...values: Values) => Promise<Row[]> {
  let built: { readonly query: CompiledQuery<Row>; readonly valueOf: readonly ((values: Values) => unknown)[] } | undefined
  return async (db, ...values) => {
    built ??= compile(build, db, values.length)
    const { query, valueOf } = built
    const { rows } = await db.executeQuery<Row>({ ...query, parameters: valueOf.map((of) => of(values)) })
    return rows
  }
}

function compile<Tables, Values extends readonly Value[], Row>(
  build: (db: Kysely<Tables>, ...values: Values) => Compilable<Row>,
  db: Kysely<Tables>,
  count: number,
) {
  // Objects of our own: nothing else in the query is one of them.
  const placeholders: unknown[] = Array.from({ length: count }, () => Object.freeze({}))
  const query = build(db, ...(placeholders as unknown as Values)).compile()
  const valueOf = query.parameters.map((parameter) => {
    const index = placeholders.indexOf(parameter)
    return index === -1 ? () => parameter : (values: Values) => values[index]
  })
  return { query, valueOf }
}
