-- Purpose: who was notified already in this observation, and how many days ahead; a notice of an earlier one named a date
--          that no longer holds, and is sent again.
-- Grain: one row a notice.
-- Parameters: batch_id, observe_from (UTC).
SELECT days_before, owner
FROM points_lifecycle.notice
WHERE batch_id = %(batch_id)s AND sent_at >= %(observe_from)s
