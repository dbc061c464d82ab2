import { type Authenticator, createCodeEngine, createSecretsManager } from '@everleaf/clients'
import type { World } from '@everleaf/world'
import type { SyncConfig } from './config.ts'
import type { DeliveryDeps } from './deliver.ts'
import { createFlights } from './flights.ts'
import type { Outcome } from './outcome.ts'
import { createRenewalList } from './renewal-list.ts'
import { createStateStore } from './state.ts'
import { sweep } from './sweep.ts'

export type Sync = {
  readonly deps: DeliveryDeps
  /** Compares and repairs all renewals, or the one that is named. */
  sweep(options?: { force?: boolean; only?: string }): Promise<Outcome[]>
}

/** Everything that sync is made of, without a server: for programs that bring their own. */
export function createSync(options: {
  world: World
  auth: Authenticator
  config: Pick<SyncConfig, 'secretsManagerUrl' | 'codeEngineUrl' | 'project' | 'app' | 'single' | 'proofLimitMs' | 'answerMs'>
}): Sync {
  const { world, auth, config } = options
  const { project, app, single, proofLimitMs, answerMs } = config
  // A neighbour gets half of the answer's time, with all its tries; the other half is for the rest of the way.
  const reach = { world, auth, timeoutMs: answerMs / 2, deadlineMs: answerMs / 2 }
  const codeEngine = createCodeEngine({ ...reach, url: config.codeEngineUrl })
  const deps: DeliveryDeps = {
    world,
    codeEngine,
    secretsManager: createSecretsManager({ ...reach, url: config.secretsManagerUrl }),
    state: createStateStore({ codeEngine, project, name: `${app}-state` }),
    list: createRenewalList({ world, codeEngine, project, name: `${app}-renewals`, single }),
    flights: createFlights({ maxWorking: 16 }),
    project,
    proofLimitMs,
    answerMs,
  }
  return { deps, sweep: (which) => sweep(deps, which) }
}
