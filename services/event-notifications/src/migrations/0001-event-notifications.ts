import type { Migration } from '@everleaf/store'
import { sql } from 'kysely'

const TABLES = [
  `CREATE TABLE en_sources (
    instance TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('api', 'service')), type TEXT NOT NULL, name TEXT NOT NULL,
    description TEXT NOT NULL, enabled INTEGER NOT NULL, store_notifications INTEGER NOT NULL, created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, PRIMARY KEY (instance, id))`,
  `CREATE TABLE en_topics (
    id TEXT PRIMARY KEY, instance TEXT NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL, created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, UNIQUE (instance, name))`,
  `CREATE TABLE en_topic_sources (
    topic_id TEXT NOT NULL REFERENCES en_topics (id) ON DELETE CASCADE, source_id TEXT NOT NULL, instance TEXT NOT NULL,
    position INTEGER NOT NULL, PRIMARY KEY (topic_id, source_id))`,
  `CREATE INDEX en_topic_sources_source ON en_topic_sources (instance, source_id)`,
  `CREATE TABLE en_rules (
    id TEXT PRIMARY KEY, instance TEXT NOT NULL, topic_id TEXT NOT NULL REFERENCES en_topics (id) ON DELETE CASCADE,
    source_id TEXT NOT NULL, position INTEGER NOT NULL, enabled INTEGER NOT NULL, event_type_filter TEXT NOT NULL,
    notification_filter TEXT, updated_at INTEGER NOT NULL)`,
  `CREATE INDEX en_rules_topic ON en_rules (topic_id, position)`,
  `CREATE TABLE en_destinations (
    id TEXT PRIMARY KEY, instance TEXT NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL, type TEXT NOT NULL,
    collect_failed_events INTEGER NOT NULL, params TEXT, headers_sealed TEXT, failing_since INTEGER,
    failures INTEGER NOT NULL, disabled_at INTEGER,
    disabled_reason TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, UNIQUE (instance, name))`,
  `CREATE TABLE en_subscriptions (
    id TEXT PRIMARY KEY, instance TEXT NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL,
    topic_id TEXT NOT NULL REFERENCES en_topics (id), destination_id TEXT NOT NULL REFERENCES en_destinations (id),
    attributes TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, UNIQUE (instance, name))`,
  `CREATE INDEX en_subscriptions_topic ON en_subscriptions (topic_id)`,
  `CREATE INDEX en_subscriptions_destination ON en_subscriptions (destination_id)`,
  `CREATE TABLE en_notifications (
    id TEXT PRIMARY KEY, instance TEXT NOT NULL, source_id TEXT NOT NULL, source TEXT NOT NULL, event_id TEXT NOT NULL,
    type TEXT NOT NULL, body TEXT NOT NULL, accepted_at INTEGER NOT NULL, UNIQUE (instance, source_id, source, event_id))`,
  `CREATE INDEX en_notifications_age ON en_notifications (accepted_at)`,
  `CREATE TABLE en_deliveries (
    id TEXT PRIMARY KEY, instance TEXT NOT NULL, notification_id TEXT NOT NULL REFERENCES en_notifications (id) ON DELETE CASCADE,
    subscription_id TEXT NOT NULL, destination_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead', 'lost')), attempts INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL, first_attempt_at INTEGER, attempt_at INTEGER, answered_at INTEGER, status INTEGER, error TEXT,
    next_at INTEGER, UNIQUE (notification_id, subscription_id))`,
  `CREATE INDEX en_deliveries_recent ON en_deliveries (instance, accepted_at)`,
]

export const eventNotifications: Migration = {
  async up(db) {
    for (const statement of TABLES) await sql.raw(statement).execute(db)
  },
}
