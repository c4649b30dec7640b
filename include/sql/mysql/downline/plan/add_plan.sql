-- Purpose: keep what was shown to the approvers.
-- Grain: one row a plan.
-- Parameters: every column by name.
-- Repeatable: the digest is part of the key; the same plan keeps its row.
INSERT INTO points_lifecycle.plan (
  batch_id, environment, action, digest, row_count, counts, differences, made_at
) VALUES (
  %(batch_id)s, %(environment)s, %(action)s, %(digest)s, %(row_count)s, %(counts)s, %(differences)s, %(made_at)s
)
ON DUPLICATE KEY UPDATE differences = VALUES(differences)
