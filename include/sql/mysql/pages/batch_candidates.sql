-- Purpose: the candidates of a batch by class, cluster and owner, and what was decided on them.
-- Grain: one row a class, cluster, owner and decision.
-- Parameters: batch_id.
SELECT class, cluster, owner, decision, COUNT(*) AS candidates
FROM points_lifecycle.candidate
WHERE batch_id = %(batch_id)s
GROUP BY class, cluster, owner, decision
ORDER BY class, cluster, owner, decision
