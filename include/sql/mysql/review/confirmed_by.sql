-- Purpose: note who started the run that read a batch's confirmed workbook.
-- Grain: one batch; its state was moved, and is locked, in the same transaction.
-- Parameters: batch_id, confirmed_by.
-- Repeatable: the same run sets the same value.
UPDATE points_lifecycle.batch
SET confirmed_by = %(confirmed_by)s
WHERE batch_id = %(batch_id)s
