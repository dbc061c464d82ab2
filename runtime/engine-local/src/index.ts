export { createLocalEngine, type LocalEngineOptions } from './local-engine.ts'
