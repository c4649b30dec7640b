-- Purpose: move a batch to its next state; no other statement changes one.
-- Grain: one batch, unless it is no longer what it was: then none.
-- Parameters: batch_id, state, following.
-- Repeatable: a batch that has moved is no longer in the state that it has to be in.
UPDATE points_lifecycle.batch
SET state = %(following)s
WHERE batch_id = %(batch_id)s AND state = %(state)s
