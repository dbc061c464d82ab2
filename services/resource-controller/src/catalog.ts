/** A plan of a service; `id` is what instances are made with. */
export type Plan = { readonly id: string; readonly name: string }
export type CatalogService = { readonly id: string; readonly name: string; readonly title: string; readonly global: boolean; readonly plans: readonly Plan[] }

/**
 * The services that instances can be of. Ids never change, as clients store them. Those of Secrets Manager's plans and of Object Storage are
 * IBM's; the others are ours.
 */
export const catalog: readonly CatalogService[] = [
  {
    id: 'ebc0cdb0-af2a-11ea-98c7-29e5db822649',
    name: 'secrets-manager',
    title: 'Secrets Manager',
    global: false,
    plans: [
      { id: '869c191a-3c2a-4faf-98be-18d48f95ba1f', name: 'trial' },
      { id: '7713c3a8-3be8-4a9a-81bb-ee822fcaac3d', name: 'standard' },
    ],
  },
  {
    id: '6c5d4e3f-1f6b-4c0e-8f0a-0b6d0e9a5e01',
    name: 'event-notifications',
    title: 'Event Notifications',
    global: false,
    plans: [
      { id: '6c5d4e3f-1f6b-4c0e-8f0a-0b6d0e9a5e02', name: 'lite' },
      { id: '6c5d4e3f-1f6b-4c0e-8f0a-0b6d0e9a5e03', name: 'standard' },
    ],
  },
  {
    id: '6c5d4e3f-1f6b-4c0e-8f0a-0b6d0e9a5e11',
    name: 'codeengine',
    title: 'Code Engine',
    global: false,
    plans: [{ id: '6c5d4e3f-1f6b-4c0e-8f0a-0b6d0e9a5e12', name: 'standard' }],
  },
  {
    id: 'dff97f5c-bc5e-4455-b470-411c3edbe49c',
    name: 'cloud-object-storage',
    title: 'Cloud Object Storage',
    global: true,
    plans: [
      { id: '2fdf0c08-2d32-4f46-84b5-32e0c92fffd8', name: 'lite' },
      { id: '744bfc56-d12c-4866-88d5-dac9139e0e5d', name: 'standard' },
    ],
  },
]

/** A plan by its id, or by `<service>-<plan>`. */
export function findPlan(text: string): { service: CatalogService; plan: Plan } | undefined {
  for (const service of catalog) for (const plan of service.plans) if (plan.id === text || `${service.name}-${plan.name}` === text) return { service, plan }
  return undefined
}

/** The CRN of a plan's deployment in a region: what Terraform sends as an instance's target. */
export function deploymentCrn(plan: Plan, region: string): string {
  return `crn:v1:bluemix:public:globalcatalog::::deployment:${plan.id}%3A${region}`
}
