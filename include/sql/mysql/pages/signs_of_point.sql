-- Purpose: use and errors of a point that were seen while its batches were observed.
-- Grain: one row a batch and metric.
-- Parameters: batches, point_id.
SELECT batch_id, kind, oper_type, last_seen, seen_count, observed_at
FROM points_lifecycle.observation
WHERE batch_id IN %(batches)s AND point_id = %(point_id)s
ORDER BY observed_at, oper_type
