-- Purpose: who was notified already, and how many days ahead.
-- Grain: one row a notice.
-- Parameters: batch_id.
SELECT days_before, owner
FROM points_lifecycle.notice
WHERE batch_id = %(batch_id)s
