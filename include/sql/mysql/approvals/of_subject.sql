-- Purpose: every question and answer about a batch (its subjects begin with its id), for its audit file.
-- Grain: one row an event, oldest first.
-- Parameters: subject (the batch), prefix (the batch and a slash).
SELECT approval_id, kind, action, subject, digest, question_digest, role, dag_id, run_id, run_started_at, task_id, map_index,
       requester, approvers, title, body, responder, responder_id, reason, responded_at, expires_at, approved_id, recorded_at
FROM governance_audit.approval
WHERE (subject = %(subject)s OR LEFT(subject, CHAR_LENGTH(%(prefix)s)) = %(prefix)s)
ORDER BY approval_id
