import { ApiError, checkBody, unknownMembers } from '@everleaf/http'
import { type Static, type TSchema, Type } from 'typebox'
import type { EnvVariable } from '../environment.ts'
import { CODES } from '../errors.ts'
import { NewJobRun } from '../job-runs/shapes.ts'
import type { JobSettings } from '../jobs/shapes.ts'

/** The group and version of Code Engine's own kinds. */
export const API_VERSION = 'codeengine.cloud.ibm.com/v1beta1'

const Text = Type.Optional(Type.String())
const KeyOf = Type.Optional(Type.Object({ name: Type.String(), key: Type.String() }))
const Whole = Type.Optional(Type.Object({ name: Type.String() }))
const Amounts = Type.Optional(Type.Object({ cpu: Text, memory: Text, 'ephemeral-storage': Text }))
const Container = Type.Object({
  /** Kubernetes wants one; it names nothing here. */
  name: Text,
  image: Text,
  command: Type.Optional(Type.Array(Type.String())),
  args: Type.Optional(Type.Array(Type.String())),
  env: Type.Optional(
    Type.Array(Type.Object({ name: Type.String(), value: Text, valueFrom: Type.Optional(Type.Object({ secretKeyRef: KeyOf, configMapKeyRef: KeyOf })) }), {
      maxItems: 100,
    }),
  ),
  envFrom: Type.Optional(Type.Array(Type.Object({ prefix: Text, secretRef: Whole, configMapRef: Whole }), { maxItems: 100 })),
  resources: Type.Optional(Type.Object({ requests: Amounts })),
})
const Template = Type.Object({
  containers: Type.Optional(Type.Array(Container, { maxItems: 1 })),
  imagePullSecrets: Type.Optional(Type.Array(Type.Object({ name: Type.String() }), { maxItems: 1 })),
  serviceAccountName: Text,
})
/** A JobRun as it is given: what else there may be in one is refused by name, because nothing would come of it. */
const NewObject = Type.Object({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('JobRun'),
  metadata: Type.Object({ name: Text, generateName: Text, namespace: Text, creationTimestamp: Type.Optional(Type.Null()) }),
  spec: Type.Object({
    jobDefinitionRef: Text,
    jobDefinitionSpec: Type.Optional(
      Type.Object({
        arraySpec: Text,
        retryLimit: Type.Optional(Type.Integer()),
        maxExecutionTime: Type.Optional(Type.Integer()),
        template: Type.Optional(Template),
      }),
    ),
  }),
  /** Programs in Go send an empty one with every object. */
  status: Type.Optional(Type.Object({})),
})
type NewObject = Static<typeof NewObject>
type RunBody = Static<typeof NewJobRun>

/** Where members of a job run's REST body stand in the object, for refusals. */
const PLACES: Readonly<Record<string, string>> = {
  job_name: 'spec.jobDefinitionRef',
  name: 'metadata.name',
  scale_array_spec: 'spec.jobDefinitionSpec.arraySpec',
  scale_retry_limit: 'spec.jobDefinitionSpec.retryLimit',
  scale_max_execution_time: 'spec.jobDefinitionSpec.maxExecutionTime',
  image_reference: 'spec.jobDefinitionSpec.template.containers[0].image',
  run_commands: 'spec.jobDefinitionSpec.template.containers[0].command',
  run_arguments: 'spec.jobDefinitionSpec.template.containers[0].args',
  run_env_variables: 'spec.jobDefinitionSpec.template.containers[0].env',
  scale_cpu_limit: 'spec.jobDefinitionSpec.template.containers[0].resources.requests.cpu',
  scale_memory_limit: 'spec.jobDefinitionSpec.template.containers[0].resources.requests.memory',
  scale_ephemeral_storage_limit: 'spec.jobDefinitionSpec.template.containers[0].resources.requests.ephemeral-storage',
  image_secret: 'spec.jobDefinitionSpec.template.imagePullSecrets[0].name',
  run_service_account: 'spec.jobDefinitionSpec.template.serviceAccountName',
}

/** The body of the REST operation that says the same as a JobRun. Throws ApiError 422, or 400 where the object is of another namespace. */
export async function toRunBody(given: unknown, { namespace, suffix }: { namespace: string; suffix: string }): Promise<RunBody> {
  const object = await checked<NewObject>(NewObject, given)
  const unknown = unknownMembers(NewObject, object)[0]
  if (unknown !== undefined) throw invalid(unknown, 'does not exist in Everleaf: leave it out')
  const { metadata, spec } = object
  if (metadata.namespace !== undefined && metadata.namespace !== namespace)
    throw new ApiError(400, CODES.invalidInput, 'The namespace of the object is not the one of the request. Send the same, or leave it out of the object.')
  const name = metadata.name ?? (metadata.generateName === undefined ? undefined : metadata.generateName + suffix)
  if (name === undefined) throw invalid('metadata.name', 'is missing: give the job run a name, or a generateName')
  const { arraySpec, retryLimit, maxExecutionTime, template } = spec.jobDefinitionSpec ?? {}
  const { command, args, env = [], envFrom = [], image, resources } = template?.containers?.[0] ?? {}
  const variables = [...env.map(variableOf), ...envFrom.map(referenceOf)]
  const members = {
    name,
    job_name: spec.jobDefinitionRef || undefined,
    scale_array_spec: arraySpec?.replaceAll(/\s/g, ''),
    scale_retry_limit: retryLimit,
    scale_max_execution_time: maxExecutionTime,
    image_reference: image,
    run_commands: command,
    run_arguments: args,
    run_env_variables: variables.length === 0 ? undefined : variables,
    scale_cpu_limit: resources?.requests?.cpu,
    scale_memory_limit: resources?.requests?.memory,
    scale_ephemeral_storage_limit: resources?.requests?.['ephemeral-storage'],
    image_secret: template?.imagePullSecrets?.[0]?.name,
    run_service_account: template?.serviceAccountName?.replace(`${namespace}-`, ''),
  }
  return await checked<RunBody>(NewJobRun, Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)))
}

/** What a REST operation refuses as 400, and a job that is not there, as Kubernetes says it: 422, with the place in the object. */
export function asInvalid(error: unknown): unknown {
  if (!(error instanceof ApiError)) return error
  if (error.status === 404) return invalid('spec.jobDefinitionRef', 'names no job of this project: create it first')
  const name = error.details.target?.name
  if (error.status !== 400 || name === undefined) return error.status === 400 ? new ApiError(422, error.code, error.message) : error
  const [head = '', ...rest] = name.split('.')
  const place = [PLACES[head] ?? head, ...rest].join('.')
  return new ApiError(422, error.code, error.message.replace(name, place), { target: { type: 'field', name: place } })
}

async function checked<T>(schema: TSchema, value: unknown): Promise<T> {
  try {
    await checkBody(schema, value, CODES.invalidInput)
  } catch (error) {
    throw asInvalid(error)
  }
  return value as T
}

function invalid(name: string, problem: string): ApiError {
  return new ApiError(422, CODES.invalidInput, `"${name}" ${problem}.`, { target: { type: 'field', name } })
}

type Containers = NonNullable<NonNullable<NonNullable<NewObject['spec']['jobDefinitionSpec']>['template']>['containers']>
type GivenVariable = NonNullable<Containers[number]['env']>[number]
type GivenReference = NonNullable<Containers[number]['envFrom']>[number]

function variableOf({ name, value, valueFrom }: GivenVariable): EnvVariable {
  const { secretKeyRef: secret, configMapKeyRef: map } = valueFrom ?? {}
  if (secret !== undefined) return { type: 'secret_key_reference', name, reference: secret.name, key: secret.key }
  if (map !== undefined) return { type: 'config_map_key_reference', name, reference: map.name, key: map.key }
  return { type: 'literal', name, value: value ?? '' }
}

function referenceOf({ prefix, secretRef, configMapRef }: GivenReference): EnvVariable {
  const own = prefix === undefined ? {} : { prefix }
  if (secretRef !== undefined) return { type: 'secret_full_reference', reference: secretRef.name, ...own }
  if (configMapRef !== undefined) return { type: 'config_map_full_reference', reference: configMapRef.name, ...own }
  throw invalid('spec.jobDefinitionSpec.template.containers[0].envFrom', 'has an entry without a secretRef or configMapRef')
}

/** A run's settings as the `jobDefinitionSpec` that it runs with. */
export function toDefinition(settings: JobSettings, container: string) {
  const { scale_array_spec: arraySpec, scale_retry_limit: retryLimit, scale_max_execution_time: maxExecutionTime } = settings
  const { run_env_variables: variables, image_secret } = settings
  const isWhole = ({ type }: EnvVariable) => type.endsWith('full_reference')
  return {
    arraySpec,
    retryLimit,
    maxExecutionTime,
    template: {
      containers: [
        {
          name: container,
          image: settings.image_reference,
          command: settings.run_commands,
          args: settings.run_arguments,
          env: variables.filter((one) => !isWhole(one)).map(fromVariable),
          envFrom: variables
            .filter(isWhole)
            .map(({ type, prefix, reference: name }) => ({ prefix, [type.startsWith('secret') ? 'secretRef' : 'configMapRef']: { name } })),
          resources: {
            requests: { cpu: settings.scale_cpu_limit, memory: settings.scale_memory_limit, 'ephemeral-storage': settings.scale_ephemeral_storage_limit },
          },
        },
      ],
      ...(image_secret === undefined ? {} : { imagePullSecrets: [{ name: image_secret }] }),
      serviceAccountName: settings.run_service_account,
    },
  }
}

function fromVariable({ type, name, value, key, reference }: EnvVariable) {
  if (type === 'literal') return { name, value }
  return { name, valueFrom: { [type.startsWith('secret') ? 'secretKeyRef' : 'configMapKeyRef']: { name: reference, key } } }
}
