-- Purpose: the plans of a batch, with what each leaves out and why.
-- Grain: one row a plan, newest first.
-- Parameters: batch_id.
SELECT environment, action, row_count, differences, made_at
FROM points_lifecycle.plan
WHERE batch_id = %(batch_id)s
ORDER BY made_at DESC
