-- Purpose: keep the history of the table before this one. A copied row can never authorise anything: no run started in
--   1970, there is no question beside it, and an approval among them has no time until which it may be used.
-- Grain: one row an old answer.
-- Repeatable: an answer that was copied is not copied again.
INSERT INTO governance_audit.approval (
  kind, action, subject, digest, question_digest, role, dag_id, run_id, task_id, map_index, run_started_at, requester,
  approvers, responder, reason, responded_at, recorded_at
)
SELECT
  old.decision, old.action, CONCAT(old.batch_id, '/', old.environment), old.digest,
  SHA2(CONCAT('points_lifecycle.approval/', old.approval_id), 256), old.role, old.dag_id, old.run_id, old.task_id, -1,
  '1970-01-01', COALESCE(old.requester, ''), '[]', old.responder, old.reason, old.responded_at, old.recorded_at
FROM points_lifecycle.approval AS old
WHERE NOT EXISTS (
  SELECT 1
  FROM governance_audit.approval AS copied
  WHERE copied.question_digest = SHA2(CONCAT('points_lifecycle.approval/', old.approval_id), 256)
)
