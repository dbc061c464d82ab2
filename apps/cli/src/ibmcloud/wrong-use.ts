export { NotHere, WrongUse } from '../home.ts'

/** The command was understood and could not be done; the message says why and what to do. Exit status 1. */
export class Failed extends Error {}
