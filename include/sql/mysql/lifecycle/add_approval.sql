-- Purpose: keep a human's answer beyond the life of its task instance.
-- Grain: one row an answer.
-- Parameters: every column by name.
-- Why it can be re-run: answers are only ever added; the newest of a run counts.
INSERT INTO points_lifecycle.approval (
  batch_id, environment, action, digest, role, decision, responder, requester, reason, dag_id, run_id, task_id,
  responded_at, recorded_at
) VALUES (
  %(batch_id)s, %(environment)s, %(action)s, %(digest)s, %(role)s, %(decision)s, %(responder)s, %(requester)s,
  %(reason)s, %(dag_id)s, %(run_id)s, %(task_id)s, %(responded_at)s, %(recorded_at)s
)
