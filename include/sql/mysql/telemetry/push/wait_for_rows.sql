-- Purpose: let LOAD DATA wait for its next rows as long as Hive needs: the server hangs up after 30 s otherwise.
-- Grain: session.
-- Parameters: seconds.
-- Repeatable: sets the same value again, for this session only.
SET SESSION net_read_timeout = %(seconds)s
