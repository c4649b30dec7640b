-- Purpose: the columns that distinguish one row of a definition table from another: all but those that may change, and
--          generated ones, which may follow from these.
-- Grain: one row a column.
-- Parameters: table_name, table_schema (NULL: the connection's own).
SELECT column_name
FROM information_schema.columns
WHERE table_schema = COALESCE(%(table_schema)s, DATABASE()) AND table_name = %(table_name)s
  AND column_name NOT IN ('status', 'last_modify_time') AND COALESCE(generation_expression, '') = ''
ORDER BY ordinal_position
