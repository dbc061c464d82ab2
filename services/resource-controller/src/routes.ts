import { notImplemented, type Route } from '@everleaf/http'
import * as globalCatalog from './global-catalog.ts'
import * as instances from './instances.ts'
import * as reclamations from './reclamations.ts'
import * as resourceGroups from './resource-groups.ts'
import * as resourceKeys from './resource-keys.ts'

const later = notImplemented
const RC = 'resource-controller'

// Lists and creations are `any`: they ask about each instance, group or service themselves, as their service is in no path.
export const routes: readonly Route[] = [
  ['GET', '/v2/resource_instances', 'any', instances.list],
  ['POST', '/v2/resource_instances', 'any', instances.create],
  ['GET', '/v2/resource_instances/:id', `${RC}.instance.retrieve`, instances.get],
  ['PATCH', '/v2/resource_instances/:id', `${RC}.instance.update`, instances.update],
  ['DELETE', '/v2/resource_instances/:id', `${RC}.instance.delete`, instances.remove],
  ['POST', '/v2/resource_instances/:id/lock', `${RC}.instance.lock`, instances.lock],
  ['DELETE', '/v2/resource_instances/:id/lock', `${RC}.instance.lock`, instances.unlock],
  ['GET', '/v2/resource_instances/:id/resource_keys', `${RC}.credential.list`, resourceKeys.listOfInstance],
  ['GET', '/v2/resource_instances/:id/resource_aliases', 'any', later('list_resource_aliases_for_instance')],
  ['DELETE', '/v2/resource_instances/:id/last_operation', 'any', later('cancel_lastop_resource_instance')],

  ['GET', '/v2/resource_keys', 'any', resourceKeys.list],
  ['POST', '/v2/resource_keys', 'any', resourceKeys.create],
  ['GET', '/v2/resource_keys/:id', `${RC}.credential.retrieve`, resourceKeys.get],
  ['PATCH', '/v2/resource_keys/:id', `${RC}.credential.update`, resourceKeys.update],
  ['DELETE', '/v2/resource_keys/:id', `${RC}.credential.delete`, resourceKeys.remove],

  ['GET', '/v2/resource_bindings', 'any', later('list_resource_bindings')],
  ['POST', '/v2/resource_bindings', 'any', later('create_resource_binding')],
  ['GET', '/v2/resource_bindings/:id', 'any', later('get_resource_binding')],
  ['PATCH', '/v2/resource_bindings/:id', 'any', later('update_resource_binding')],
  ['DELETE', '/v2/resource_bindings/:id', 'any', later('delete_resource_binding')],
  ['GET', '/v2/resource_aliases', 'any', later('list_resource_aliases')],
  ['POST', '/v2/resource_aliases', 'any', later('create_resource_alias')],
  ['GET', '/v2/resource_aliases/:id', 'any', later('get_resource_alias')],
  ['PATCH', '/v2/resource_aliases/:id', 'any', later('update_resource_alias')],
  ['DELETE', '/v2/resource_aliases/:id', 'any', later('delete_resource_alias')],
  ['GET', '/v2/resource_aliases/:id/resource_bindings', 'any', later('list_resource_bindings_for_alias')],

  ['GET', '/v1/reclamations', `${RC}.reclamation.list`, reclamations.list],
  ['POST', '/v1/reclamations/:id/actions/:action', 'any', later('run_reclamation_action')],

  ['GET', '/v2/resource_groups', 'any', resourceGroups.list],
  ['POST', '/v2/resource_groups', `${RC}.group.create`, resourceGroups.create],
  ['GET', '/v2/resource_groups/:id', `${RC}.group.retrieve`, resourceGroups.get],
  ['PATCH', '/v2/resource_groups/:id', `${RC}.group.update`, resourceGroups.update],
  ['DELETE', '/v2/resource_groups/:id', `${RC}.group.delete`, resourceGroups.remove],
  ['GET', '/v2/quota_definitions', `${RC}.quota.retrieve`, resourceGroups.listQuotas],
  ['GET', '/v2/quota_definitions/:id', `${RC}.quota.retrieve`, resourceGroups.getQuota],

  ['GET', '/api/v1', 'public', globalCatalog.search],
  ['GET', '/api/v1/:id', 'public', globalCatalog.get],
  ['GET', '/api/v1/:id/:kind', 'public', globalCatalog.children],
]
