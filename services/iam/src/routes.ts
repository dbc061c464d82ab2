import { absentV1, absentV2 } from './absent.ts'
import { notImplemented, type Route } from '@everleaf/http'
import * as accountSettings from './account-settings.ts'
import * as apiKeys from './api-keys.ts'
import * as claimRules from './claim-rules.ts'
import * as links from './links.ts'
import * as policies from './policies/operations.ts'
import * as profiles from './profiles.ts'
import * as roleList from './role-list.ts'
import * as serviceIds from './service-ids.ts'
import * as token from './token.ts'

/** Below /iam/identity. */
export const tokenRoutes: readonly Route[] = [
  ['POST', '/token', 'public', token.create],
  ['GET', '/keys', 'public', token.keys],
  ['GET', '/.well-known/openid-configuration', 'public', token.openidConfiguration],
  ['POST', '/introspect', 'any', notImplemented('introspect_token')],
  ['GET', '/passcode', 'any', notImplemented('passcode')],
  ['GET', '/authorize', 'any', notImplemented('authorize')],
]

/** Below /iam/v1. */
export const identityRoutes: readonly Route[] = [
  ['GET', '/apikeys', 'iam-identity.apikey.list', apiKeys.list],
  ['POST', '/apikeys', 'iam-identity.apikey.create', apiKeys.create],
  ['GET', '/apikeys/details', 'iam-identity.apikey.get', apiKeys.details],
  ['GET', '/apikeys/:id', 'iam-identity.apikey.get', apiKeys.get],
  ['PUT', '/apikeys/:id', 'iam-identity.apikey.update', apiKeys.update],
  ['DELETE', '/apikeys/:id', 'iam-identity.apikey.delete', apiKeys.remove],
  ['POST', '/apikeys/:id/lock', 'iam-identity.apikey.update', apiKeys.lock],
  ['DELETE', '/apikeys/:id/lock', 'iam-identity.apikey.update', apiKeys.unlock],
  ['POST', '/apikeys/:id/disable', 'iam-identity.apikey.update', apiKeys.disable],
  ['DELETE', '/apikeys/:id/disable', 'iam-identity.apikey.update', apiKeys.enable],

  ['GET', '/serviceids', 'iam-identity.serviceid.list', serviceIds.list],
  ['POST', '/serviceids', 'iam-identity.serviceid.create', serviceIds.create],
  ['GET', '/serviceids/:id', 'iam-identity.serviceid.get', serviceIds.get],
  ['PUT', '/serviceids/:id', 'iam-identity.serviceid.update', serviceIds.update],
  ['DELETE', '/serviceids/:id', 'iam-identity.serviceid.delete', serviceIds.remove],
  ['POST', '/serviceids/:id/lock', 'iam-identity.serviceid.update', serviceIds.lock],
  ['DELETE', '/serviceids/:id/lock', 'iam-identity.serviceid.update', serviceIds.unlock],

  ['GET', '/serviceid_groups', 'any', notImplemented('list_service_id_group')],
  ['POST', '/serviceid_groups', 'any', notImplemented('create_service_id_group')],
  ['GET', '/serviceid_groups/:id', 'any', notImplemented('get_service_id_group')],
  ['PUT', '/serviceid_groups/:id', 'any', notImplemented('update_service_id_group')],
  ['DELETE', '/serviceid_groups/:id', 'any', notImplemented('delete_service_id_group')],

  ['GET', '/profiles', 'iam-identity.profile.list', profiles.list],
  ['POST', '/profiles', 'iam-identity.profile.create', profiles.create],
  ['GET', '/profiles/:profile', 'iam-identity.profile.get', profiles.get],
  ['PUT', '/profiles/:profile', 'iam-identity.profile.update', profiles.update],
  ['DELETE', '/profiles/:profile', 'iam-identity.profile.delete', profiles.remove],
  ['GET', '/profiles/:profile/rules', 'iam-identity.profile.get', claimRules.list],
  ['POST', '/profiles/:profile/rules', 'iam-identity.profile.update', claimRules.create],
  ['GET', '/profiles/:profile/rules/:rule', 'iam-identity.profile.get', claimRules.get],
  ['PUT', '/profiles/:profile/rules/:rule', 'iam-identity.profile.update', claimRules.update],
  ['DELETE', '/profiles/:profile/rules/:rule', 'iam-identity.profile.update', claimRules.remove],
  ['GET', '/profiles/:profile/links', 'iam-identity.profile.get', links.list],
  ['POST', '/profiles/:profile/links', 'iam-identity.profile.linkToResource', links.create],
  ['DELETE', '/profiles/:profile/links', 'iam-identity.profile.linkToResource', links.removeByQuery],
  ['GET', '/profiles/:profile/links/:link', 'iam-identity.profile.get', links.get],
  ['DELETE', '/profiles/:profile/links/:link', 'iam-identity.profile.linkToResource', links.remove],
  ['GET', '/profiles/:profile/identities', 'any', notImplemented('get_profile_identities')],
  ['PUT', '/profiles/:profile/identities', 'any', notImplemented('set_profile_identities')],
  ['POST', '/profiles/:profile/identities/:type', 'any', notImplemented('set_profile_identity')],
  ['GET', '/profiles/:profile/identities/:type/:identifier', 'any', notImplemented('get_profile_identity')],
  ['DELETE', '/profiles/:profile/identities/:type/:identifier', 'any', notImplemented('delete_profile_identity')],

  ['GET', '/accounts/:account/settings/identity', 'iam-identity.account.get', accountSettings.get],
  ['PUT', '/accounts/:account/settings/identity', 'any', notImplemented('update_account_settings')],
  ['GET', '/accounts/:account/effective_settings/identity', 'any', notImplemented('get_effective_account_settings')],
  ['PATCH', '/sessions/:id/state', 'any', notImplemented('update_session_state')],

  ['POST', '/activity/accounts/:account/report', 'any', notImplemented('create_report')],
  ['GET', '/activity/accounts/:account/report/:reference', 'any', notImplemented('get_report')],
  ['GET', '/mfa/accounts/:account/userinfo/:iam_id', 'any', notImplemented('get_mfa_status')],
  ['POST', '/mfa/accounts/:account/report', 'any', notImplemented('create_mfa_report')],
  ['GET', '/mfa/accounts/:account/report/:reference', 'any', notImplemented('get_mfa_report')],
  ['GET', '/preferences/accounts/:account/identities/:iam_id', 'any', notImplemented('list_preferences')],
  ['GET', '/preferences/accounts/:account/identities/:iam_id/:service/:id', 'any', notImplemented('get_preference')],
  ['PUT', '/preferences/accounts/:account/identities/:iam_id/:service/:id', 'any', notImplemented('update_preference')],
  ['DELETE', '/preferences/accounts/:account/identities/:iam_id/:service/:id', 'any', notImplemented('delete_preference')],
  ['GET', '/profile_templates', 'any', notImplemented('list_profile_templates')],
  ['POST', '/profile_templates', 'any', notImplemented('create_profile_template')],
  ['GET', '/profile_templates/:id', 'any', notImplemented('get_profile_template')],
  ['GET', '/profile_assignments', 'any', notImplemented('list_profile_assignments')],
  ['POST', '/profile_assignments', 'any', notImplemented('create_profile_assignment')],
  ['GET', '/account_settings_templates', 'any', notImplemented('list_account_settings_templates')],
  ['POST', '/account_settings_templates', 'any', notImplemented('create_account_settings_template')],
  ['GET', '/account_settings_templates/:id', 'any', notImplemented('get_account_settings_template')],
  ['GET', '/account_settings_assignments', 'any', notImplemented('list_account_settings_assignments')],
  ['POST', '/account_settings_assignments', 'any', notImplemented('create_account_settings_assignment')],
  ...absentV1,
]

/** Below /iam/v1/policies. */
export const policyV1Routes: readonly Route[] = [
  ['GET', '/', 'iam.policy.read', policies.v1.list],
  ['POST', '/', 'iam.policy.create', policies.v1.create],
  ['GET', '/:id', 'iam.policy.read', policies.v1.get],
  ['PUT', '/:id', 'iam.policy.update', policies.v1.replace],
  ['PATCH', '/:id', 'iam.policy.update', policies.v1.setState],
  ['DELETE', '/:id', 'iam.policy.delete', policies.remove],
]

/** Below /iam/v2. */
export const policyV2Routes: readonly Route[] = [
  ['GET', '/policies', 'iam.policy.read', policies.v2.list],
  ['POST', '/policies', 'iam.policy.create', policies.v2.create],
  ['GET', '/policies/:id', 'iam.policy.read', policies.v2.get],
  ['PUT', '/policies/:id', 'iam.policy.update', policies.v2.replace],
  ['DELETE', '/policies/:id', 'iam.policy.delete', policies.remove],
  // Everyone may see which roles there are; whoever hands them out needs a right of their own.
  ['GET', '/roles', 'any', roleList.list],
  ['POST', '/roles', 'any', notImplemented('create_role')],
  ['GET', '/roles/:id', 'any', notImplemented('get_role')],
  ['PUT', '/roles/:id', 'any', notImplemented('replace_role')],
  ['DELETE', '/roles/:id', 'any', notImplemented('delete_role')],
  ...absentV2,
]
