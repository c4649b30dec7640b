-- Purpose: keep an event of an approval.
-- Grain: one row an event.
-- Parameters: every column by name, but approval_id.
-- Repeatable: no; an answer, and the use of an approval, are refused the second time by their unique keys.
INSERT INTO governance_audit.approval (
  kind, action, subject, digest, question_digest, role, dag_id, run_id, task_id, map_index, run_started_at, requester,
  approvers, title, body, responder, responder_id, reason, responded_at, expires_at, approved_id, recorded_at
) VALUES (
  %(kind)s, %(action)s, %(subject)s, %(digest)s, %(question_digest)s, %(role)s, %(dag_id)s, %(run_id)s, %(task_id)s,
  %(map_index)s, %(run_started_at)s, %(requester)s, %(approvers)s, %(title)s, %(body)s, %(responder)s,
  %(responder_id)s, %(reason)s, %(responded_at)s, %(expires_at)s, %(approved_id)s, %(recorded_at)s
)
