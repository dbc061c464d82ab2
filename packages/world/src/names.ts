/** Where to open the connection for a host name: names are resolved by the platform's own table, not by DNS. */
export type ConnectTarget = { readonly address: string; readonly port: number } | { readonly socketPath: string }

/** True for 127.0.0.0/8, ::1 and `localhost`. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase()
  return bare === 'localhost' || bare === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(bare)
}
