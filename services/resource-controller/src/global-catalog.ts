import { ApiError } from '@everleaf/http'
import { Type } from 'typebox'
import { type CatalogService, catalog, deploymentCrn, type Plan } from './catalog.ts'
import { CODES } from './errors.ts'
import { type Deps, lookup } from './service.ts'

// shapes
const CatalogQuery = Type.Object({
  q: Type.Optional(Type.String({ maxLength: 200 })),
  include: Type.Optional(Type.String({ maxLength: 200 })),
  account: Type.Optional(Type.String({ maxLength: 64 })),
})

// operations
/** Services by name: `q` is a name, or `name:<name>`. */
export const search = lookup({
  query: CatalogQuery,
  async run({ baseUrl }, { query }) {
    const wanted = query.q?.replace(/^name:/, '').toLowerCase() ?? ''
    return listed(baseUrl, catalog.filter(({ name }) => name.includes(wanted)).map(serviceEntry))
  },
})

export const get = lookup({
  async run({ deps }, { params }) {
    for (const service of catalog) {
      if (service.id === params.id || service.name === params.id) return serviceEntry(service)
      const plan = service.plans.find(({ id }) => id === params.id)
      if (plan !== undefined) return planEntry(service, plan)
      for (const one of service.plans) if (params.id === deploymentId(service, one, deps)) return deploymentEntry(service, one, deps)
    }
    throw new ApiError(404, CODES.notFound, 'There is no catalog entry with this id.')
  },
})

export const children = lookup({
  async run({ baseUrl, deps }, { params }) {
    const service = catalog.find(({ id, name }) => id === params.id || name === params.id)
    if (service !== undefined && params.kind === 'plan')
      return listed(
        baseUrl,
        service.plans.map((plan) => planEntry(service, plan)),
      )
    for (const owner of catalog) {
      const plan = owner.plans.find(({ id }) => id === params.id)
      if (plan !== undefined && params.kind === 'deployment') return listed(baseUrl, [deploymentEntry(owner, plan, deps)])
    }
    throw new ApiError(404, CODES.notFound, 'There is no catalog entry with this id and children of this kind.')
  },
})

function listed(baseUrl: string, resources: readonly unknown[]) {
  return { offset: 0, limit: 50, count: resources.length, resource_count: resources.length, first: `${baseUrl}/api/v1`, resources }
}

function serviceEntry(service: CatalogService) {
  return entry(service.id, service.name, service.title, 'service', { service: { rc_provisionable: true, iam_compatible: true } })
}

function planEntry(service: CatalogService, plan: Plan) {
  return { ...entry(plan.id, plan.name, `${service.title} ${plan.name}`, 'plan', { plan: {} }), parent_id: service.id }
}

function deploymentEntry(service: CatalogService, plan: Plan, deps: Deps) {
  const location = regionFor(service, deps)
  const metadata = { deployment: { location, target_crn: deploymentCrn(plan, location) }, rc_compatible: true }
  return { ...entry(deploymentId(service, plan, deps), `${plan.name}-${location}`, location, 'deployment', metadata), geo_tags: [location], parent_id: plan.id }
}

function deploymentId(service: CatalogService, plan: Plan, deps: Deps): string {
  return `${plan.id}:${regionFor(service, deps)}`
}

function regionFor(service: CatalogService, deps: Deps): string {
  return service.global ? 'global' : deps.settings.region
}

function entry(id: string, name: string, title: string, kind: string, metadata: object) {
  const overview = { display_name: title, description: title, long_description: title }
  return {
    id,
    name,
    kind,
    active: true,
    disabled: false,
    geo_tags: [],
    tags: [],
    images: {},
    overview_ui: { en: overview },
    metadata: { rc_compatible: true, ...metadata },
  }
}
