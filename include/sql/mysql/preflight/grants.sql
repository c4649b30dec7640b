-- Purpose: what the connection's user may do.
-- Grain: one row a grant, as the statement that gives it.
SHOW GRANTS
