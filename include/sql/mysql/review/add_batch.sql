-- Purpose: keep a batch as the usage report made it.
-- Grain: one row.
-- Parameters: every column by name.
-- Repeatable: the same report replaces its own row; a batch that people have confirmed is never replaced (the
--          caller asks for its state first, in the same transaction).
INSERT INTO points_lifecycle.batch (
  batch_id, environment, window_start, window_end, candidates, candidate_digest, state, created_at
) VALUES (
  %(batch_id)s, %(environment)s, %(window_start)s, %(window_end)s, %(candidates)s, %(candidate_digest)s, 'reported',
  %(created_at)s
)
ON DUPLICATE KEY UPDATE
  environment = VALUES(environment), window_start = VALUES(window_start), window_end = VALUES(window_end),
  candidates = VALUES(candidates), candidate_digest = VALUES(candidate_digest), created_at = VALUES(created_at)
