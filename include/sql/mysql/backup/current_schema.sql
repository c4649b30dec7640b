-- Purpose: the schema of the connection.
-- Grain: one row.
-- Parameters: none.
-- Why it can be re-run: reads only.
SELECT DATABASE()
