/** Every word that a look at a server may answer with besides those of the gate: what it means, and how it is mended. */
export const SERVED_REASONS = {
  'no-address': ['The name has no address.', 'Enter it in DNS, or say where to look: --connect ADDRESS'],
  unreachable: [
    'Nothing can be reached at this address and port.',
    'Start what should listen there, let its firewall through, or take the address out of DNS.',
  ],
  silent: ['There was no answer in time.', 'Whatever accepts the connection does not shake hands: restart it, or give it more time with --timeout SECONDS.'],
  closed: [
    'The connection was closed before there was a certificate.',
    'Read the log of the server: it has no certificate for this name, or no room for a connection.',
  ],
  'not-tls': ['What answers there does not speak TLS.', 'Give the port that does, or turn TLS on for this one.'],
  'tls-refused': [
    'The server refused every version of TLS that is asked for.',
    'Read the log of the server; it needs TLS 1.2 or 1.3, and a certificate for this name.',
  ],
  'version-missing': [
    'The server does not speak this version of TLS; it does speak the other one.',
    'Turn TLS 1.2 on for old clients and 1.3 for new ones, unless this is meant.',
  ],
  'no-way': ['This machine cannot reach addresses of this kind.', 'Look again from a machine that has IPv6: clients that have it will use this address.'],
  'served-differs': [
    'Different certificates are served, by who asks how.',
    'Where this is no change that is just going on: restart or reload the server that serves the older one.',
  ],
  'not-the-file': [
    'The certificate that is served is not the one of the file.',
    'Reload the server, and see that it reads this file; everleaf renew does it and proves it.',
  ],
  handshake: ['No TLS handshake can be completed with the certificate and its key.', 'Have a new pair issued: no TLS server can answer with this one.'],
} as const

export type ServedCode = keyof typeof SERVED_REASONS
