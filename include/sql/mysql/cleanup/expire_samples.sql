-- Purpose: remove samples that were kept long enough.
-- Grain: one row a sample.
-- Parameters: now.
-- Repeatable: what is removed is gone.
DELETE FROM points_lifecycle.cleanup_sample
WHERE keep_until <= %(now)s
