-- Purpose: note that a batch is out of service, and until when it is watched.
-- Grain: one batch.
-- Parameters: batch_id, observe_from, observe_until.
-- Why it can be re-run: a later environment moves the end, so the month starts with the last change.
UPDATE points_lifecycle.batch
SET state = 'downlined', observe_from = %(observe_from)s, observe_until = %(observe_until)s
WHERE batch_id = %(batch_id)s AND state IN ('confirmed', 'downlined')
