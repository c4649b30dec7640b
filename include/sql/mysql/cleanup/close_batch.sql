-- Purpose: close a batch when every own ticket is done; those of the DBA were handed over.
-- Grain: one row a batch.
-- Parameters: batch_id.
-- Why it can be re-run: a closed batch does not change.
UPDATE points_lifecycle.batch
SET state = 'cleaned'
WHERE batch_id = %(batch_id)s AND state = 'downlined' AND halted_at IS NULL
  AND EXISTS (SELECT 1 FROM points_lifecycle.cleanup_ticket t WHERE t.batch_id = %(batch_id)s)
  AND NOT EXISTS (
    SELECT 1 FROM points_lifecycle.cleanup_ticket t
    WHERE t.batch_id = %(batch_id)s AND t.state NOT IN ('done', 'handed_over', 'withdrawn')
  )
