-- Purpose: record a migrated month, or the cut-over.
-- Grain: one row a (dataset, month).
-- Parameters: the columns of history_migration_log, of the same names.
-- Repeatable: MERGE on the grain; the last call replaces the entry of the first.
MERGE `{{ project }}.{{ monitor_dataset }}.history_migration_log` AS target
USING (
  SELECT
    @dataset AS dataset, @month AS month, @legacy_versions AS legacy_versions, @migrated_versions AS migrated_versions,
    @invalid_rows AS invalid_rows, @copied_rows AS copied_rows, @run_id AS run_id, @logged_at AS logged_at
) AS source
ON target.dataset = source.dataset AND target.month = source.month
WHEN MATCHED THEN UPDATE SET
  legacy_versions = source.legacy_versions,
  migrated_versions = source.migrated_versions,
  invalid_rows = source.invalid_rows,
  copied_rows = source.copied_rows,
  run_id = source.run_id,
  logged_at = source.logged_at
WHEN NOT MATCHED THEN INSERT (
  dataset, month, legacy_versions, migrated_versions, invalid_rows, copied_rows, run_id, logged_at
) VALUES (
  source.dataset, source.month, source.legacy_versions, source.migrated_versions, source.invalid_rows,
  source.copied_rows, source.run_id, source.logged_at
)
