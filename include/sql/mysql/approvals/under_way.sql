-- Purpose: whether an action is under way by an approval that was asked for, given, begun, and neither ended nor expired.
-- Grain: one row an approval; none: nothing may be done.
-- Parameters: action, subject, digest, question_digest, now (UTC).
SELECT approved.approval_id
FROM governance_audit.approval AS approved
JOIN governance_audit.approval AS asked
  ON asked.kind = 'asked' AND asked.question_digest = approved.question_digest AND asked.approval_id < approved.approval_id
JOIN governance_audit.approval AS started ON started.kind = 'started' AND started.approved_id = approved.approval_id
LEFT JOIN governance_audit.approval AS finished
  ON finished.kind = 'finished' AND finished.approved_id = approved.approval_id
WHERE approved.kind = 'approved' AND approved.role = 'execute' AND approved.action = %(action)s
  AND approved.subject = %(subject)s AND approved.digest = %(digest)s
  AND approved.question_digest = %(question_digest)s AND approved.expires_at > %(now)s
  AND finished.approval_id IS NULL
