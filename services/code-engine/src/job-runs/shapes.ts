import { Type } from 'typebox'
import { jobSettings } from '../jobs/shapes.ts'
import { ImageReference, Label, Listed, maybe } from '../patterns.ts'

const RunName = Type.String({ minLength: 1, maxLength: 53, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' })

export const NewJobRun = Type.Object({
  job_name: maybe(Label),
  name: maybe(RunName),
  image_reference: maybe(ImageReference),
  scale_array_size_variable_override: maybe(Type.Integer({ minimum: 1, maximum: 10_000_000 })),
  ...jobSettings,
})
export const ListedByJob = Type.Object({ ...Listed.properties, job_name: Type.Optional(Type.String()) })
