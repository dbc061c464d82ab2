/** The names that a secret's values have inside instances, which are those of its Kubernetes twin, not those of the API. */
const KEYS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  tls: { tls_cert: 'tls.crt', tls_key: 'tls.key' },
  ssh_auth: { ssh_key: 'ssh-privatekey' },
}

export type Entries = ReadonlyMap<string, string>

/** What variables and mounted files of a secret are made of: key and value. */
export function secretEntries(format: string, data: Readonly<Record<string, string>>): Entries {
  if (format === 'registry') return new Map([['.dockerconfigjson', dockerConfig(data)]])
  return new Map(Object.entries(data).map(([key, value]) => [KEYS[format]?.[key] ?? key, value]))
}

function dockerConfig({ server = '', username = '', password = '', email }: Readonly<Record<string, string>>): string {
  const auth = Buffer.from(`${username}:${password}`).toString('base64')
  return JSON.stringify({ auths: { [server]: { username, password, ...(email === undefined ? {} : { email }), auth } } })
}
