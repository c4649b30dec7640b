-- Purpose: let one task build or push a flow at a time; the lock ends with the connection.
-- Grain: one row: 1 when the lock was given.
-- Parameters: name; seconds (how long to wait for it).
-- Repeatable: a connection that holds the lock gets it again.
SELECT GET_LOCK(%(name)s, %(seconds)s)
