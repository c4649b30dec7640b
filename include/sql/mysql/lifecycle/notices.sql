-- Purpose: who was told already, and how many days ahead.
-- Grain: one row a notice.
-- Parameters: batch_id.
-- Why it can be re-run: reads only.
SELECT days_before, owner
FROM points_lifecycle.notice
WHERE batch_id = %(batch_id)s
