-- Purpose: whether this connection still holds a ticket's lock; asking keeps the connection from being idle.
-- Grain: one row.
-- Parameters: name.
SELECT COALESCE(IS_USED_LOCK(%(name)s) = CONNECTION_ID(), 0)
