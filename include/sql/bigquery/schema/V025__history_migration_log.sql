-- Purpose: how far the migration of an unpartitioned legacy table has come.
-- Grain: one row a (dataset, month), and one with month 'cut_over' when the names were switched.
-- Repeatable: IF NOT EXISTS. Kept for good: it says where old rows came from.

CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.history_migration_log` (
  dataset STRING NOT NULL,
  month STRING NOT NULL OPTIONS (description = 'UTC month, YYYY-MM; or cut_over.'),
  legacy_versions INT64 OPTIONS (description = 'Distinct valid versions in the legacy table.'),
  migrated_versions INT64 OPTIONS (description = 'Distinct versions in the partitioned table.'),
  invalid_rows INT64 OPTIONS (description = 'Legacy rows whose stored values disagree; not migrated.'),
  copied_rows INT64 OPTIONS (description = 'Rows inserted by the last copy of the month.'),
  run_id STRING NOT NULL,
  logged_at TIMESTAMP NOT NULL
)
OPTIONS (
  description = 'Progress of the migration of legacy draws into a partitioned table.',
  labels = [('pipeline', 'draws')]
);
