import { notImplemented, type Route } from '@everleaf/http'
import * as instances from './app-instances.ts'
import * as revisions from './app-revisions.ts'
import * as apps from './apps/operations.ts'
import * as runs from './build-runs.ts'
import * as sources from './build-sources.ts'
import * as builds from './builds.ts'
import * as configMaps from './config-maps.ts'
import * as events from './events.ts'
import * as jobRuns from './job-runs/operations.ts'
import * as jobs from './jobs/operations.ts'
import * as logs from './logs.ts'
import * as mappings from './domain-mappings.ts'
import * as projects from './projects.ts'
import * as restarts from './restarts.ts'
import * as secrets from './secrets.ts'

export { kubernetesRoutes } from './kubernetes/routes.ts'

const P = '/projects/:project_id'
const READ = 'codeengine.tenant.entities.read'
const CREATE = 'codeengine.tenant.entities.create'
const UPDATE = 'codeengine.tenant.entities.update'
const DELETE = 'codeengine.tenant.entities.delete'
const later = notImplemented

/** The 67 operations of v2, and five of our own (a build's source, logs, events, restarts, cancelling a build run). Listing projects needs only a good token: the list shows those its caller may read. */
export const routes: readonly Route[] = [
  // method   path                                     IAM action                operation
  ['GET', '/projects', 'any', projects.list],
  ['POST', '/projects', 'codeengine.project.create', projects.create],
  ['GET', P, 'codeengine.tenant.read', projects.get],
  ['DELETE', P, 'codeengine.project.delete', projects.remove],
  ['GET', `${P}/egress_ips`, 'codeengine.tenant.read', later('get_project_egress_ips')],
  ['GET', `${P}/status_details`, 'codeengine.tenant.read', projects.statusDetails],
  ['GET', `${P}/allowed_outbound_destinations`, READ, later('list_allowed_outbound_destinations')],
  ['POST', `${P}/allowed_outbound_destinations`, CREATE, later('create_allowed_outbound_destination')],
  ['GET', `${P}/allowed_outbound_destinations/:name`, READ, later('get_allowed_outbound_destination')],
  ['PATCH', `${P}/allowed_outbound_destinations/:name`, UPDATE, later('update_allowed_outbound_destination')],
  ['DELETE', `${P}/allowed_outbound_destinations/:name`, DELETE, later('delete_allowed_outbound_destination')],
  ['GET', `${P}/apps`, READ, apps.list],
  ['POST', `${P}/apps`, CREATE, apps.create],
  ['GET', `${P}/apps/:name`, READ, apps.get],
  ['PATCH', `${P}/apps/:name`, UPDATE, apps.update],
  ['DELETE', `${P}/apps/:name`, DELETE, apps.remove],
  ['GET', `${P}/apps/:app_name/revisions`, READ, revisions.list],
  ['GET', `${P}/apps/:app_name/revisions/:name`, READ, revisions.get],
  ['DELETE', `${P}/apps/:app_name/revisions/:name`, DELETE, revisions.remove],
  ['GET', `${P}/apps/:app_name/instances`, READ, instances.list],
  ['GET', `${P}/jobs`, READ, jobs.list],
  ['POST', `${P}/jobs`, CREATE, jobs.create],
  ['GET', `${P}/jobs/:name`, READ, jobs.get],
  ['PATCH', `${P}/jobs/:name`, UPDATE, jobs.update],
  ['DELETE', `${P}/jobs/:name`, DELETE, jobs.remove],
  ['GET', `${P}/job_runs`, READ, jobRuns.list],
  ['POST', `${P}/job_runs`, CREATE, jobRuns.create],
  ['GET', `${P}/job_runs/:name`, READ, jobRuns.get],
  ['DELETE', `${P}/job_runs/:name`, DELETE, jobRuns.remove],
  ['GET', '/function_runtimes', 'any', later('list_function_runtimes')],
  ['GET', `${P}/functions`, READ, later('list_functions')],
  ['POST', `${P}/functions`, CREATE, later('create_function')],
  ['GET', `${P}/functions/:name`, READ, later('get_function')],
  ['PATCH', `${P}/functions/:name`, UPDATE, later('update_function')],
  ['DELETE', `${P}/functions/:name`, DELETE, later('delete_function')],
  ['GET', `${P}/bindings`, READ, later('list_bindings')],
  ['POST', `${P}/bindings`, CREATE, later('create_binding')],
  ['GET', `${P}/bindings/:id`, READ, later('get_binding')],
  ['DELETE', `${P}/bindings/:id`, DELETE, later('delete_binding')],
  ['GET', `${P}/builds`, READ, builds.list],
  ['POST', `${P}/builds`, CREATE, builds.create],
  ['GET', `${P}/builds/:name`, READ, builds.get],
  ['PATCH', `${P}/builds/:name`, UPDATE, builds.update],
  ['DELETE', `${P}/builds/:name`, DELETE, builds.remove],
  ['PUT', `${P}/builds/:name/source`, UPDATE, sources.put],
  ['GET', `${P}/build_runs`, READ, runs.list],
  ['POST', `${P}/build_runs`, CREATE, runs.create],
  ['GET', `${P}/build_runs/:name`, READ, runs.get],
  ['DELETE', `${P}/build_runs/:name`, DELETE, runs.remove],
  ['GET', `${P}/domain_mappings`, READ, mappings.list],
  ['POST', `${P}/domain_mappings`, CREATE, mappings.create],
  ['GET', `${P}/domain_mappings/:name`, READ, mappings.get],
  ['PATCH', `${P}/domain_mappings/:name`, UPDATE, mappings.update],
  ['DELETE', `${P}/domain_mappings/:name`, DELETE, mappings.remove],
  ['GET', `${P}/config_maps`, READ, configMaps.list],
  ['POST', `${P}/config_maps`, CREATE, configMaps.create],
  ['GET', `${P}/config_maps/:name`, READ, configMaps.get],
  ['PUT', `${P}/config_maps/:name`, UPDATE, configMaps.replace],
  ['DELETE', `${P}/config_maps/:name`, DELETE, configMaps.remove],
  ['GET', `${P}/secrets`, READ, secrets.list],
  ['POST', `${P}/secrets`, CREATE, secrets.create],
  ['GET', `${P}/secrets/:name`, READ, secrets.get],
  ['PUT', `${P}/secrets/:name`, UPDATE, secrets.replace],
  ['DELETE', `${P}/secrets/:name`, DELETE, secrets.remove],
  ['GET', `${P}/everleaf/logs`, READ, logs.get],
  ['GET', `${P}/everleaf/events`, READ, events.list],
  ['POST', `${P}/everleaf/restarts`, UPDATE, restarts.create],
  ['POST', `${P}/everleaf/build_runs/:name/cancel`, UPDATE, runs.cancel],
  ['GET', `${P}/persistent_data_stores`, READ, later('list_persistent_data_stores')],
  ['POST', `${P}/persistent_data_stores`, CREATE, later('create_persistent_data_store')],
  ['GET', `${P}/persistent_data_stores/:name`, READ, later('get_persistent_data_store')],
  ['DELETE', `${P}/persistent_data_stores/:name`, DELETE, later('delete_persistent_data_store')],
]

/** The two operations of v1, which give out a kubeconfig: there is no cluster behind this engine. */
export const routesV1: readonly Route[] = [
  ['GET', '/project/:project_id/config', 'any', later('get_kubeconfig')],
  ['GET', '/namespaces/:project_id/config', 'any', later('list_kubeconfig')],
]
