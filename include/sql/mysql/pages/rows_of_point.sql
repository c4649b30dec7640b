-- Purpose: the rows of a point that batches planned to change, with their status before and what became of them. The
--          tables of each batch come from the primary key, and the point is looked up in each.
-- Grain: one row a row of a definition table and batch.
-- Parameters: batches, point_id.
SELECT r.batch_id, r.environment, r.table_name, r.old_status, r.state, r.reason, r.changed_at
FROM (
  SELECT batch_id, environment, table_name
  FROM points_lifecycle.batch_row
  WHERE batch_id IN %(batches)s
  GROUP BY batch_id, environment, table_name
) AS known
JOIN points_lifecycle.batch_row AS r
  ON r.batch_id = known.batch_id AND r.environment = known.environment AND r.table_name = known.table_name
  AND r.row_id = %(point_id)s
WHERE r.kind = 'point'
ORDER BY r.changed_at, r.environment, r.table_name
