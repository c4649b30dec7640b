-- Purpose: keep a row of a batch with its old status, and what became of it.
-- Grain: one row a row.
-- Parameters: every column by name.
-- Repeatable: the journal on the environment's server is the truth; this copy is set to it again.
INSERT INTO points_lifecycle.batch_row (
  batch_id, environment, table_name, row_id, identity, ordinal, kind, cluster, old_status, last_modify_time, state,
  reason, changed_at
) VALUES (
  %(batch_id)s, %(environment)s, %(table_name)s, %(row_id)s, %(identity)s, %(ordinal)s, %(kind)s, %(cluster)s,
  %(old_status)s, %(last_modify_time)s, %(state)s, %(reason)s, %(changed_at)s
)
ON DUPLICATE KEY UPDATE state = VALUES(state), reason = VALUES(reason), changed_at = VALUES(changed_at)
