import { ApiError } from '@everleaf/http'
import { parseImported } from '@everleaf/pki'
import { codes } from '../errors.ts'
import type { EventFacts } from '../events/outbox.ts'
import type { Material } from '../material.ts'
import { badRequest } from '../service.ts'
import { SECRET_TYPES } from './shapes.ts'

/** What a version is made of: the material to seal, what may be shown of it, and when it ends. */
export type Content = { readonly material: Material; readonly facts: Facts; readonly expiresAt: number | null }

/** What is shown of a version's material, in IBM's words. */
export type Facts = EventFacts & {
  readonly issuer?: string
  readonly key_algorithm?: string
  readonly signing_algorithm?: string
  readonly validity?: { readonly not_before: string; readonly not_after: string }
  readonly intermediate_included?: boolean
  readonly private_key_included?: boolean
}

type Request = Material & { readonly managed_csr?: unknown; readonly expiration_date?: string }

/** Checks the material of a new secret or version by the rules of its type: 400 with the reason, 501 for types that do not exist here yet. */
export function contentOf(type: string, request: Request, now: Date): Content {
  if (type === 'imported_cert') return importedContent(request, now)
  if (type === 'arbitrary') return arbitraryContent(request, now)
  if ((SECRET_TYPES as readonly string[]).includes(type)) throw new ApiError(501, codes.notImplemented, `Secrets of type ${type} do not exist in Everleaf yet.`)
  throw badRequest(`"secret_type" must be one of ${SECRET_TYPES.join(', ')}.`)
}

function importedContent({ certificate, intermediate, private_key, managed_csr, payload, expiration_date }: Request, now: Date): Content {
  refuseMembers({ payload, expiration_date }, 'imported_cert')
  if (managed_csr !== undefined)
    throw new ApiError(501, codes.notImplemented, 'Imported certificates with managed_csr do not exist in Everleaf yet. Send the certificate instead.')
  if (certificate === undefined) throw badRequest('required.certificate: property "certificate" is missing')
  const read = parseImported({
    certificate,
    ...(intermediate === undefined ? {} : { intermediate }),
    ...(private_key === undefined ? {} : { privateKey: private_key }),
    now,
  })
  if (!read.ok) throw badRequest(read.message)
  const { expiration_date: _expiry, ...facts } = read.metadata
  return {
    material: { certificate, ...(intermediate === undefined ? {} : { intermediate }), ...(private_key === undefined ? {} : { private_key }) },
    facts,
    expiresAt: read.notAfter.getTime(),
  }
}

function arbitraryContent({ payload, expiration_date, certificate, intermediate, private_key, managed_csr }: Request, now: Date): Content {
  refuseMembers({ certificate, intermediate, private_key, managed_csr }, 'arbitrary')
  if (payload === undefined) throw badRequest('required.payload: property "payload" is missing')
  return { material: { payload }, facts: {}, expiresAt: expiration_date === undefined ? null : futureTime(expiration_date, now) }
}

/** An expiration_date in ms; 400 unless it is an RFC 3339 time to come. */
export function futureTime(text: string, now: Date): number {
  const at = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at)) throw badRequest('"expiration_date" must be a date and time of RFC 3339, such as 2030-10-05T11:49:42Z.')
  if (at <= now.getTime()) throw badRequest('"expiration_date" must be in the future.')
  return at
}

function refuseMembers(members: Readonly<Record<string, unknown>>, type: string): void {
  for (const [name, value] of Object.entries(members)) if (value !== undefined) throw badRequest(`"${name}" does not belong to secrets of type ${type}.`)
}
