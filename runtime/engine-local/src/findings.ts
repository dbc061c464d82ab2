import type { Finding } from '@everleaf/engine'
import type { Mode } from './helper.ts'

/** What works for instances on this machine, and what to do about the rest. */
export function findingsOf(mode: Mode, refusals: readonly string[]): readonly Finding[] {
  const why = refusals.length > 0 ? ` (${refusals.at(-1)})` : ''
  const isolated = mode !== 'plain'
  return [
    {
      subject: 'mounts',
      works: isolated,
      message: isolated
        ? 'Instances have mounts, a temp folder and a process tree of their own; the tokens, secrets and config maps stand at their paths.'
        : `Instances are plain processes${why}: mounted secrets and config maps are not at their paths (EVERLEAF_MOUNTS tells where they are) the compute resource token is where <SERVICE>_CR_TOKEN_FILENAME says, and there is no service account for the API of Kubernetes. Allow user namespaces on Linux, or run as root, to have them at their paths.`,
    },
    {
      subject: 'isolation',
      works: mode === 'root',
      message:
        mode === 'root'
          ? 'Each component runs with a uid of its own.'
          : 'All components run as the same user: accidents are contained, malice is not. Run as root to give each a uid of its own.',
    },
    {
      subject: 'network',
      works: false,
      message:
        'Instances share the network of this machine: PORT is a free port that the engine chooses, not the one of the app, and an app may listen on more than loopback. A program that does not read PORT is found at its own port; one instance of it can run, while that port is free (--http-port moves the one of Everleaf from 8080).',
    },
    {
      subject: 'memory',
      works: process.platform === 'linux',
      message:
        process.platform === 'linux'
          ? 'An instance that holds more memory than its limit is ended; it is looked at twice a second.'
          : 'Instances share the memory of this machine without limits. Use Linux to have scale_memory_limit enforced.',
    },
    { subject: 'processors', works: false, message: 'Instances share the processors of this machine without limits.' },
  ]
}
