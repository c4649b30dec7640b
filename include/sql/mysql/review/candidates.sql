-- Purpose: the candidates of a batch with what people decided.
-- Grain: one row a candidate.
-- Parameters: batch_id.
SELECT point_id, class, owner, row_digest, evidence, decision, reviewer, remark
FROM points_lifecycle.candidate
WHERE batch_id = %(batch_id)s
ORDER BY point_id
