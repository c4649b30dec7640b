-- Purpose: every column of a table, for its checksum.
-- Grain: one row a column.
-- Parameters: table_schema, table_name.
-- Why it can be re-run: reads only.
SELECT column_name
FROM information_schema.columns
WHERE table_schema = %(table_schema)s AND table_name = %(table_name)s
ORDER BY ordinal_position
