-- Purpose: note that a batch's workbook was read, and who started that.
-- Grain: one batch that is not downlined yet.
-- Parameters: batch_id, confirmed_by.
-- Why it can be re-run: the same run sets the same values.
UPDATE points_lifecycle.batch
SET state = 'confirmed', confirmed_by = %(confirmed_by)s
WHERE batch_id = %(batch_id)s AND state IN ('reported', 'confirmed')
