-- Purpose: the other batches that took points out of service in an environment and did not restore them.
-- Grain: one row a point and batch.
-- Parameters: journal_schema (identifier), batch_id, environment, points.
SELECT row_id, batch_id, MAX(changed_at)
FROM `{{ journal_schema }}`.points_journal
WHERE environment = %(environment)s AND kind = 'point' AND state = 'downlined' AND row_id IN %(points)s
  AND batch_id <> %(batch_id)s
GROUP BY row_id, batch_id
ORDER BY MAX(changed_at)
