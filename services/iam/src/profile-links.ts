import type { Kysely } from 'kysely'
import type { Component } from './compute-tokens.ts'
import type { LinkRow, ProfileRow, Tables } from './schema.ts'

/** How a token request may name a profile; several names must name the same one. */
export type ProfileNames = { readonly id: string | undefined; readonly name: string | undefined; readonly crn: string | undefined }

/** The profile in this account, the compute resource's, that all the given names name; never one of another account. */
export async function findProfileFor(db: Kysely<Tables>, account: string, names: ProfileNames): Promise<ProfileRow | undefined> {
  let query = db.selectFrom('iam_profiles').selectAll().where('account', '=', account)
  if (names.id !== undefined) query = query.where('id', '=', names.id.replace(/^iam-/, ''))
  if (names.name !== undefined) query = query.where('name', '=', names.name)
  if (names.crn !== undefined) query = query.where('id', '=', profileInCrn(names.crn, account))
  return await query.executeTakeFirst()
}

function profileInCrn(crn: string, account: string): string {
  const prefix = `crn:v1:bluemix:public:iam-identity::a/${account}::profile:`
  return crn.startsWith(prefix) ? crn.slice(prefix.length) : ''
}

/**
 * The link through which the profile trusts a component: of type CE, the same project, type and name, letter for letter. A link that
 * leaves out type or name trusts every component of the project (unverified at IBM; whoever makes such a link says so by leaving them out).
 */
export async function findLink(db: Kysely<Tables>, profileId: string, component: Component): Promise<LinkRow | undefined> {
  const links = await db
    .selectFrom('iam_links')
    .selectAll()
    .where('profile', '=', profileId)
    .where('cr_type', '=', 'CE')
    .where('crn', '=', component.projectCrn)
    .execute()
  return links.find((link) => trusts(link, component))
}

function trusts(link: LinkRow, component: Component): boolean {
  return (
    (link.component_type === null || link.component_type === component.componentType) &&
    (link.component_name === null || link.component_name === component.componentName)
  )
}
