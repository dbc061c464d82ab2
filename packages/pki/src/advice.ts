// What is said to a person about a reason; whoever decides does not load it.
export { MENDS } from './mends.ts'
export { WHYS } from './whys.ts'
