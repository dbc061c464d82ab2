export { ApiError, type Dialect, type ErrorDetails } from './errors.ts'
export {
  type ByteStream,
  type Call,
  type Guard,
  type Identity,
  type Input,
  notImplemented,
  type Operation,
  operationsOf,
  type Read,
  RawReply,
  type Resource,
  type Route,
  StreamReply,
  type Write,
} from './operation.ts'
export { createServer } from './server.ts'
export { checkBody, loadChecks, unknownMembers } from './shapes.ts'
export { mountService, type Platform, type Service } from './service.ts'
