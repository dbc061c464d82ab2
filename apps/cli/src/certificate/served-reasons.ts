interface ServedReason {
  readonly means: string
  readonly why: string
  readonly mend: string
}

/** Every word that a look at a server may answer with besides those of the gate. */
export const SERVED_REASONS = {
  'no-address': {
    means: 'The name has no address.',
    why: 'Nobody can connect, whatever certificate there is.',
    mend: 'Enter it in DNS, or say where to look: --connect ADDRESS',
  },
  unreachable: {
    means: 'Nothing can be reached at this address and port.',
    why: 'Clients that are led to this address fail, or wait until they try another one.',
    mend: 'Start what should listen there, let its firewall through, or take the address out of DNS.',
  },
  silent: {
    means: 'There was no answer in time.',
    why: 'Clients hang here for as long as they are patient, which is worse than being refused.',
    mend: 'Whatever accepts the connection does not shake hands: restart it, or give it more time with --timeout SECONDS.',
  },
  closed: {
    means: 'The connection was closed before there was a certificate.',
    why: 'Clients say no more than that the connection was reset: the cause is in the log of the server alone.',
    mend: 'Read the log of the server: it has no certificate for this name, or no room for a connection.',
  },
  'not-tls': {
    means: 'What answers there does not speak TLS.',
    why: 'Clients that ask for TLS fail; those that do not are readable by everybody on the way.',
    mend: 'Give the port that does, or turn TLS on for this one.',
  },
  'tls-refused': {
    means: 'The server refused every version of TLS that is asked for.',
    why: 'Clients of today speak TLS 1.2 and 1.3 and nothing else.',
    mend: 'Read the log of the server; it needs TLS 1.2 or 1.3, and a certificate for this name.',
  },
  'version-missing': {
    means: 'The server does not speak this version of TLS; it does speak the other one.',
    why: 'Without 1.2 old clients fail; without 1.3 new ones take one more round trip, and the certificate is sent in the open.',
    mend: 'Turn TLS 1.2 on for old clients and 1.3 for new ones, unless this is meant.',
  },
  'no-way': {
    means: 'This machine cannot reach addresses of this kind.',
    why: 'Clients that have IPv6 take this address first: what is wrong there is not seen from here.',
    mend: 'Look again from a machine that has IPv6.',
  },
  'served-differs': {
    means: 'Different certificates are served, by who asks how.',
    why: 'A renewal that has reached only one of several servers or listeners looks done, until the old certificate ends.',
    mend: 'Where this is no change that is just going on: restart or reload the server that serves the older one.',
  },
  'not-the-file': {
    means: 'The certificate that is served is not the one of the file.',
    why: 'It was renewed and is not served: one of the commonest outages there are, on the day on which the old one ends.',
    mend: 'Reload the server, and see that it reads this file; everleaf renew does it and proves it.',
  },
  'issuer-ends-first': {
    means: 'An issuer in the chain ends before the certificate does.',
    why: 'The certificate fails on the day on which its issuer ends, weeks before the one that everybody has in the calendar.',
    mend: 'Renew it before the issuer ends, and take the new intermediate certificates with it.',
  },
  handshake: {
    means: 'No TLS handshake can be completed with the certificate and its key.',
    why: 'Every connection would fail from the moment this is served.',
    mend: 'Have a new pair issued: no TLS server can answer with this one.',
  },
} as const satisfies Readonly<Record<string, ServedReason>>

export type ServedCode = keyof typeof SERVED_REASONS
