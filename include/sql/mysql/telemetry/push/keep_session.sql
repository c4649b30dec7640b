-- Purpose: keep the session of a lock while Hive works: the server would end an idle one, and the lock with it.
-- Grain: session.
-- Parameters: seconds.
-- Repeatable: sets the same value again, for this session only.
SET SESSION wait_timeout = %(seconds)s
