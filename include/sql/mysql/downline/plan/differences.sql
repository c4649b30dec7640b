-- Purpose: the differences that the newest plan of a batch explains, for its report.
-- Grain: one row a plan.
-- Parameters: batch_id, environment, action.
SELECT digest, differences
FROM points_lifecycle.plan
WHERE batch_id = %(batch_id)s AND environment = %(environment)s AND action = %(action)s
ORDER BY made_at DESC
LIMIT 1
