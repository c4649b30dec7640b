-- Purpose: whether nobody executes a ticket.
-- Grain: one row.
-- Parameters: name.
SELECT IS_FREE_LOCK(%(name)s)
