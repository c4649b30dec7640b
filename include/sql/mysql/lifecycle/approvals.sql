-- Purpose: every answer that was given on a batch.
-- Grain: one row an answer.
-- Parameters: batch_id.
-- Why it can be re-run: reads only.
SELECT environment, action, role, decision, responder, requester, reason, digest, run_id, responded_at, recorded_at
FROM points_lifecycle.approval
WHERE batch_id = %(batch_id)s
ORDER BY approval_id
