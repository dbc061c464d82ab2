import type { CoreArguments } from './core.ts'

/**
 * The addresses that Everleaf hands out: its own names with the real port. Where instances have no hosts file of their own
 * (no namespaces), names cannot be resolved in them, and they get the plain loopback addresses instead.
 */
export function addresses({ config, ports, namespaces }: CoreArguments) {
  const plain = `http://127.0.0.1:${ports.api}`
  const named = (host: string, port: number) => `https://${host}.${config.domain}:${port}`
  return {
    codeEngineForInstances: namespaces ? named('codeengine', ports.private) : `${plain}/codeengine`,
    secretsManagerPublic: (guid: string) => `${named(`${guid}.secrets-manager`, ports.public)}/api`,
    secretsManagerPrivate: (guid: string) => (namespaces ? `${named(`${guid}.secrets-manager`, ports.private)}/api` : `${plain}/secrets-manager/${guid}/api`),
  }
}
