-- Purpose: keep a second sweep of the same ticket out; the lock ends with the connection.
-- Grain: one row: 1 when the lock was given; two seconds, since the server ends a killed session after a moment.
-- Parameters: name.
-- Repeatable: a connection that holds the lock gets it again.
SELECT GET_LOCK(%(name)s, 2)
