import type { Migration } from '@everleaf/store'
import { type CreateTableBuilder, type Kysely, sql } from 'kysely'

export const codeEngine: Migration = {
  async up(db) {
    await projectsAndApps(db)
    await dataOfProjects(db)
    await served(db)
    await builds(db)
  },
}

async function projectsAndApps(db: Kysely<unknown>): Promise<void> {
  await texts(db.schema.createTable('ce_projects'), ['account', 'name', 'region', 'resource_group', 'crn', 'status', 'created_by'])
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('subdomain', 'text', (column) => column.notNull().unique())
    .addColumn('created_at', 'integer', (column) => column.notNull())
    .addColumn('deleted_at', 'integer')
    .addUniqueConstraint('ce_project_name', ['account', 'region', 'name'])
    .execute()
  await named(db, 'ce_apps', ['entity_tag', 'settings', 'latest_revision'])
    .addColumn('revision_count', 'integer', (column) => column.notNull())
    .addColumn('ready_revision', 'text')
    .execute()
  await texts(db.schema.createTable('ce_revisions'), ['project_id', 'app_id', 'name', 'settings', 'status', 'reason', 'message'])
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('image', 'text')
    .addColumn('image_digest', 'text')
    .addColumn('build', 'text')
    .addColumn('build_run', 'text')
    .addColumn('created_at', 'integer', (column) => column.notNull())
    .addUniqueConstraint('ce_revision_name', ['app_id', 'name'])
    .execute()
  await db.schema.createIndex('ce_revisions_of_project').on('ce_revisions').columns(['project_id', 'created_at']).execute()
  await texts(db.schema.createTable('ce_references'), ['app_id', 'project_id', 'kind', 'name', 'used_by'])
    .addPrimaryKeyConstraint('ce_reference', ['app_id', 'kind', 'name', 'used_by'])
    .execute()
  await db.schema.createIndex('ce_references_to').on('ce_references').columns(['project_id', 'kind', 'name']).execute()
}

async function dataOfProjects(db: Kysely<unknown>): Promise<void> {
  await named(db, 'ce_secrets', ['format', 'entity_tag', 'sealed']).execute()
  await named(db, 'ce_config_maps', ['entity_tag', 'data']).execute()
}

async function served(db: Kysely<unknown>): Promise<void> {
  await texts(db.schema.createTable('ce_served'), ['project_id', 'fingerprint', 'sealed'])
    .addColumn('certificate', 'text', (column) => column.primaryKey())
    .addColumn('not_before', 'integer', (column) => column.notNull())
    .addColumn('not_after', 'integer', (column) => column.notNull())
    .addColumn('served_at', 'integer', (column) => column.notNull())
    .execute()
  await named(db, 'ce_domain_mappings', ['entity_tag', 'component_type', 'component', 'tls_secret', 'status', 'reason', 'message'])
    .addColumn('certificate', 'text')
    .addColumn('claimed', 'integer', (column) => column.notNull())
    .execute()
  // One host belongs to one mapping of the region; the others wait unclaimed.
  await db.schema
    .createIndex('ce_claimed_hosts')
    .unique()
    .on('ce_domain_mappings')
    .column('name')
    .where(sql<boolean>`claimed = 1`)
    .execute()
  await db.schema.createIndex('ce_mappings_by_secret').on('ce_domain_mappings').columns(['project_id', 'tls_secret']).execute()
  await db.schema.createIndex('ce_mappings_by_certificate').on('ce_domain_mappings').column('certificate').execute()
}

async function builds(db: Kysely<unknown>): Promise<void> {
  await named(db, 'ce_builds', ['entity_tag', 'settings']).addColumn('archive', 'text').execute()
  await named(db, 'ce_build_runs', ['build_name', 'settings', 'archive', 'status', 'reason', 'message'])
    .addColumn('digest', 'text')
    .addColumn('started_at', 'integer')
    .addColumn('completed_at', 'integer')
    .execute()
  await texts(db.schema.createTable('ce_images'), ['project_id', 'reference', 'image', 'digest', 'build', 'build_run'])
    .addColumn('built_at', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('ce_image', ['project_id', 'reference'])
    .execute()
}

/** A table of things that have a name of their own in a project. */
function named(db: Kysely<unknown>, table: string, columns: readonly string[]): CreateTableBuilder<string, string> {
  return texts(db.schema.createTable(table), ['project_id', 'name', ...columns])
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('created_at', 'integer', (column) => column.notNull())
    .addUniqueConstraint(`${table}_name`, ['project_id', 'name'])
}

function texts(table: CreateTableBuilder<string, string>, columns: readonly string[]): CreateTableBuilder<string, string> {
  let made = table
  for (const column of columns) made = made.addColumn(column, 'text', (definition) => definition.notNull())
  return made
}
