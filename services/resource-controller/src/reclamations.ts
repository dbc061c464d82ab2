import { lookup } from './service.ts'

/** No plan here keeps an instance for reclamation: what is deleted is removed at once, so there is nothing to list. */
export const list = lookup({ run: async () => ({ resources: [] }) })
