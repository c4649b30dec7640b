-- Purpose: what a restore of a batch would give back, and what was given back already: rows by their old status.
-- Grain: one row an environment, kind, table, cluster, old status and state.
-- Parameters: batch_id.
SELECT
  environment,
  kind,
  table_name,
  cluster,
  old_status,
  state,
  COUNT(*) AS row_count,
  COUNT(DISTINCT row_id) AS ids
FROM points_lifecycle.batch_row
WHERE batch_id = %(batch_id)s AND state IN ('downlined', 'restored')
GROUP BY environment, kind, table_name, cluster, old_status, state
ORDER BY environment, kind, table_name, cluster, old_status, state
