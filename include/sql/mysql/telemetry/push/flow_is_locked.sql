-- Purpose: whether this connection still holds a flow's lock.
-- Grain: one row.
-- Parameters: name.
SELECT COALESCE(IS_USED_LOCK(%(name)s) = CONNECTION_ID(), 0)
