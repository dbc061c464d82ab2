import type { Compilable, CompiledQuery, Kysely } from 'kysely'

type Value = string | number | null
type Values = Readonly<Record<string, Value>>
type Built<Named extends Values, Row> = { readonly query: CompiledQuery<Row>; readonly valueOf: readonly ((values: Named) => unknown)[] }

/**
 * A query that is built once, for those that nearly every request asks: building one takes longer than SQLite does to find a row by its key.
 * `build` is called with a placeholder for each value, which it gives to the query as it is, as often as it likes; what comes back takes the
 * values by the same names and gives the rows.
 */
export function prepared<Tables, Named extends Values, Row>(
  build: (db: Kysely<Tables>, values: Named) => Compilable<Row>,
): (db: Kysely<Tables>, values: Named) => Promise<Row[]> {
  let built: Built<Named, Row> | undefined
  return async (db, values) => {
    const { query, valueOf } = (built ??= compile(db, Object.keys(values), build))
    const { rows } = await db.executeQuery<Row>({ ...query, parameters: valueOf.map((of) => of(values)) })
    return rows
  }
}

function compile<Tables, Named extends Values, Row>(
  db: Kysely<Tables>,
  names: readonly string[],
  build: (db: Kysely<Tables>, values: Named) => Compilable<Row>,
): Built<Named, Row> {
  // Objects of our own: nothing else in the query is one of them.
  const placeholders = names.map(() => Object.freeze({}))
  const query = build(db, Object.fromEntries(names.map((name, index) => [name, placeholders[index]])) as unknown as Named).compile()
  const valueOf = query.parameters.map((parameter) => {
    const name = names[placeholders.indexOf(parameter as object)]
    return name === undefined ? () => parameter : (values: Named) => values[name]
  })
  return { query, valueOf }
}
