-- Purpose: all that is known of a run id, whatever incarnation of the run it belongs to.
-- Grain: one row an event, oldest first.
-- Parameters: dag_id, run_id.
SELECT approval_id, kind, action, subject, digest, question_digest, role, dag_id, run_id, run_started_at, task_id, map_index,
       requester, approvers, title, body, responder, responder_id, reason, responded_at, expires_at, approved_id, recorded_at
FROM governance_audit.approval
WHERE dag_id = %(dag_id)s AND run_id = %(run_id)s
ORDER BY approval_id
