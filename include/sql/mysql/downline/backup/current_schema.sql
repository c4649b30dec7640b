-- Purpose: the schema of the connection.
-- Grain: one row.
SELECT DATABASE()
