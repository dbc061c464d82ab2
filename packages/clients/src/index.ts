export { type Authenticator, apiKeyAuthenticator, computeResourceAuthenticator, fixedToken, type Grant, keepToken, TOKEN_FILES } from './authenticator.ts'
export type { Answer, Call, ClientOptions, ClientWorld, Query } from './call.ts'
export { call, nextWaitMs, path } from './call.ts'
export {
  type CeApp,
  type CeBuild,
  type CeBuildRun,
  type CeConfigMap,
  type CeDomainMapping,
  type CeInstance,
  type CeProject,
  type CeRevision,
  type CeSecret,
  type CodeEngine,
  createCodeEngine,
} from './code-engine.ts'
export {
  createEventNotifications,
  type EnDestination,
  type EnRule,
  type EnSource,
  type EnSubscription,
  type EnTopic,
  type EventNotifications,
} from './event-notifications.ts'
export { ApiFailure } from './failure.ts'
export { type ApiKey, createIam, type Iam, type PolicyV1, type PolicyV2, type ProfileLink, type RoleList, type ServiceId, type TrustedProfile } from './iam.ts'
export { createResourceController, type ResourceController, type ResourceGroup, type ResourceInstance, type ResourceKey } from './resource-controller.ts'
export {
  type CertificateData,
  createSecretsManager,
  type SecretGroup,
  type SecretMetadata,
  type SecretsManager,
  type SecretVersion,
  type SecretVersionMetadata,
  type SmSecret,
} from './secrets-manager.ts'
