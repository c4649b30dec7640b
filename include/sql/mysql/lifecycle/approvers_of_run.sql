-- Purpose: who countersigned exactly this plan in exactly this run.
-- Grain: one row a person.
-- Parameters: batch_id, environment, action, digest, dag_id, run_id.
-- Why it can be re-run: reads only.
SELECT DISTINCT responder
FROM points_lifecycle.approval
WHERE batch_id = %(batch_id)s AND environment = %(environment)s AND action = %(action)s AND digest = %(digest)s
  AND dag_id = %(dag_id)s AND run_id = %(run_id)s AND role = 'countersign' AND decision = 'approved'
