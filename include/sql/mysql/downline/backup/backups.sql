-- Purpose: the proven backups of a batch in an environment.
-- Grain: one row a table.
-- Parameters: batch_id, environment.
SELECT table_name, backup_table, row_count, checksum
FROM points_lifecycle.backup
WHERE batch_id = %(batch_id)s AND environment = %(environment)s
ORDER BY table_name
