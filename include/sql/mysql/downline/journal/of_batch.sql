-- Purpose: the rows that a batch has changed in an environment.
-- Grain: one row a changed row.
-- Parameters: journal_schema (identifier), batch_id, environment.
SELECT kind, table_name, row_id, identity, old_status, last_modify_time, cluster, ordinal, state, changed_at, restored_at
FROM `{{ journal_schema }}`.points_journal
WHERE batch_id = %(batch_id)s AND environment = %(environment)s
ORDER BY kind, table_name, row_id, identity, old_status, ordinal
