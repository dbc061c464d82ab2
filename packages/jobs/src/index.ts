export { type EnqueueOptions, enqueue } from './enqueue.ts'
export { createRunner, type JobContext, type JobHandler, type JobOutcome, NeverAgain, type Runner } from './runner.ts'
export { type JobRow, type JobTables, migrations } from './schema.ts'
