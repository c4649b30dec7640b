-- Purpose: remove the rows of an earlier plan that were never changed.
-- Grain: planned or removed rows of a batch in an environment.
-- Parameters: batch_id, environment.
-- Repeatable: part of the transaction that inserts the new plan's rows.
DELETE FROM points_lifecycle.batch_row
WHERE batch_id = %(batch_id)s AND environment = %(environment)s AND state IN ('planned', 'removed')
