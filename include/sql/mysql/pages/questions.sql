-- Purpose: questions that nobody has answered, for those who look for who is waited for.
-- Grain: one row a question, newest first.
-- Parameters: since (UTC): older ones have timed out.
SELECT asked.dag_id, asked.run_id, asked.task_id, asked.map_index, asked.action, asked.subject, asked.role,
       asked.requester, asked.approvers, asked.recorded_at
FROM governance_audit.approval AS asked
WHERE asked.kind = 'asked' AND asked.recorded_at >= %(since)s
  AND NOT EXISTS (
    SELECT 1
    FROM governance_audit.approval AS answer
    WHERE answer.question_digest = asked.question_digest
      AND answer.kind IN ('approved', 'rejected', 'refused', 'unanswered')
  )
ORDER BY asked.approval_id DESC
