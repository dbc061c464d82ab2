import { join } from 'node:path'
import type { InstanceSpec } from '@everleaf/engine'
import type { Image } from './image.ts'
import { SYSTEM_PATH } from './launcher.ts'
import type { TrustFiles } from './trust.ts'

/** Where an instance finds things: in a sandbox at constant paths, else in a folder of its own. */
export type Places = {
  readonly home: string
  readonly work: string
  readonly temp: string
  readonly node: string
  readonly trust: string
  readonly cache: string
  /** Set where the token cannot be shown at its well-known path. */
  readonly tokenFile: string | undefined
}

export const SANDBOX_PLACES: Places = {
  home: '/home/app',
  work: '/app',
  temp: '/tmp',
  node: '/everleaf/node',
  trust: '/everleaf/trust',
  cache: '/everleaf/cache',
  tokenFile: undefined,
}

/** Services whose IBM clients read `<SERVICE>_CR_TOKEN_FILENAME` (ibm-cloud-sdk-core's external configuration). */
const CLIENTS = ['SECRETS_MANAGER', 'CODE_ENGINE', 'EVENT_NOTIFICATIONS', 'IAM_IDENTITY', 'RESOURCE_CONTROLLER', 'CONTAINER'] as const

/** An instance's whole environment, from empty: the image's, then the user's, then the platform's, which wins (api/code-engine §4.2). */
export function environmentOf(input: {
  spec: InstanceSpec
  image: Image
  port: number | undefined
  places: Places
  trust: TrustFiles
}): Record<string, string> {
  const { spec, image, port, places, trust } = input
  const given = Object.fromEntries(spec.env)
  const tokens =
    places.tokenFile === undefined
      ? {}
      : Object.fromEntries(['CR_TOKEN_FILENAME', ...CLIENTS.map((name) => `${name}_CR_TOKEN_FILENAME`)].map((name) => [name, places.tokenFile ?? '']))
  const all = join(places.trust, trust.all)
  return {
    NODE_COMPILE_CACHE: places.cache,
    TMPDIR: places.temp,
    ...tokens,
    ...Object.fromEntries(Object.entries(image.env).map(([name, value]) => [name, value.replaceAll('{app}', places.work)])),
    SSL_CERT_FILE: all,
    REQUESTS_CA_BUNDLE: all,
    NODE_EXTRA_CA_CERTS: join(places.trust, trust.extra),
    ...given,
    // Java reads none of the three above. It says on standard error that it has picked this up.
    ...(image.language === 'java'
      ? { JAVA_TOOL_OPTIONS: [`-Djavax.net.ssl.trustStore=${join(places.trust, trust.java)}`, given['JAVA_TOOL_OPTIONS'] ?? ''].join(' ').trim() }
      : {}),
    HOME: given['HOME'] ?? places.home,
    PATH: given['PATH'] ? `${places.node}:${given['PATH']}` : `${places.node}:${SYSTEM_PATH}`,
    PWD: places.work,
    HOSTNAME: spec.hostname ?? spec.name,
    ...(port === undefined ? {} : { PORT: String(port) }),
  }
}
