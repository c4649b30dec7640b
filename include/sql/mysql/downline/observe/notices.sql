-- Purpose: who was notified already of the cleanup's date, and how many days ahead; a notice from before the observation
--          began, or before its last release, named a date that no longer holds, and is sent again.
-- Grain: one row a notice.
-- Parameters: batch_id, since (UTC).
SELECT days_before, owner
FROM points_lifecycle.notice
WHERE batch_id = %(batch_id)s AND sent_at >= %(since)s
