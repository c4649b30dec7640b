-- Purpose: who approved exactly this ticket in exactly this run, so that a retry goes on without asking again.
-- Grain: one row an approval.
-- Parameters: batch_id, digest, dag_id, run_id.
-- Why it can be re-run: reads only.
SELECT responder, requester
FROM points_lifecycle.approval
WHERE batch_id = %(batch_id)s AND action = 'cleanup' AND digest = %(digest)s AND decision = 'approved'
  AND dag_id = %(dag_id)s AND run_id = %(run_id)s
ORDER BY approval_id DESC
