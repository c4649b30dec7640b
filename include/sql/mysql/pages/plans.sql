-- Purpose: when the downlines of batches were planned, and how many rows each plan changes.
-- Grain: one row a plan, oldest first.
-- Parameters: batches.
SELECT batch_id, environment, digest, row_count, made_at
FROM points_lifecycle.plan
WHERE batch_id IN %(batches)s AND action = 'downline'
ORDER BY made_at
