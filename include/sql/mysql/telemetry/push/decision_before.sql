-- Purpose: what the guard before the push decided last on a batch, in a run since it started.
-- Grain: one row, or none when the guard decided nothing.
-- Parameters: batch_id, run_id, since (UTC).
SELECT decision
FROM rsp_datagovern.evidence_guard_log
WHERE batch_id = %(batch_id)s AND run_id = %(run_id)s AND stage = 'before' AND decided_at >= %(since)s
ORDER BY id DESC
LIMIT 1
