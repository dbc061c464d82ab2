import type { Migration } from '@everleaf/store'

export const objectStorage: Migration = {
  async up(db) {
    await db.schema
      .createTable('cos_buckets')
      .addColumn('name', 'text', (column) => column.primaryKey())
      .addColumn('instance', 'text', (column) => column.notNull())
      .addColumn('account', 'text', (column) => column.notNull())
      .addColumn('location', 'text', (column) => column.notNull())
      .addColumn('created_at', 'integer', (column) => column.notNull())
      .execute()
    await db.schema.createIndex('cos_buckets_of_instance').on('cos_buckets').column('instance').execute()
    await db.schema
      .createTable('cos_objects')
      .addColumn('bucket', 'text', (column) => column.notNull())
      .addColumn('key', 'text', (column) => column.notNull())
      .addColumn('blob', 'text', (column) => column.notNull())
      .addColumn('sealed', 'text', (column) => column.notNull())
      .addColumn('size', 'integer', (column) => column.notNull())
      .addColumn('etag', 'text', (column) => column.notNull())
      .addColumn('headers', 'text', (column) => column.notNull())
      .addColumn('checksums', 'text', (column) => column.notNull())
      .addColumn('modified_at', 'integer', (column) => column.notNull())
      .addPrimaryKeyConstraint('cos_object', ['bucket', 'key'])
      .execute()
  },
}
