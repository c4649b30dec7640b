-- Purpose: keep where a proven backup is, and its checksum.
-- Grain: one row a table of a batch in an environment.
-- Parameters: every column by name.
-- Repeatable: a new proven backup replaces the older one.
INSERT INTO points_lifecycle.backup (
  batch_id, environment, table_name, backup_table, row_count, checksum, proven_at
) VALUES (
  %(batch_id)s, %(environment)s, %(table_name)s, %(backup_table)s, %(row_count)s, %(checksum)s, %(proven_at)s
)
ON DUPLICATE KEY UPDATE
  backup_table = VALUES(backup_table), row_count = VALUES(row_count), checksum = VALUES(checksum),
  proven_at = VALUES(proven_at)
