-- Purpose: let the next task build or push the flow.
-- Grain: one row.
-- Parameters: name.
-- Repeatable: a lock that is not held stays so.
SELECT RELEASE_LOCK(%(name)s)
