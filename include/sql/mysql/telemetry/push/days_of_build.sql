-- Purpose: the days that the newest build of a batch rests on, as the build recorded them (JSON, day to minutes).
-- Grain: one row, or none when no build recorded any.
-- Parameters: batch_id.
SELECT message
FROM rsp_datagovern.evidence_guard_log
WHERE batch_id = %(batch_id)s AND stage = 'build'
ORDER BY id DESC
LIMIT 1
