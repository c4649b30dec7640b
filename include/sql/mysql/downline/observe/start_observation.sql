-- Purpose: note until when a batch is watched.
-- Grain: one batch; its state was moved, and is locked, in the same transaction.
-- Parameters: batch_id, observe_from, observe_until.
-- Repeatable: a later environment moves the end, so the month starts with the last change.
UPDATE points_lifecycle.batch
SET observe_from = %(observe_from)s, observe_until = %(observe_until)s
WHERE batch_id = %(batch_id)s
