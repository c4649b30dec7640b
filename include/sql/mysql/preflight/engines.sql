-- Purpose: the storage engine of each table of a schema; a rollback on one without transactions is none.
-- Grain: one row a table.
-- Parameters: schema_name.
SELECT table_name, engine
FROM information_schema.tables
WHERE table_schema = %(schema_name)s AND table_type = 'BASE TABLE'
ORDER BY table_name
