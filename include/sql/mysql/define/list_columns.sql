-- Purpose: the columns that tell one row of a definition table from another: all but those that may change.
-- Grain: one row a column.
-- Parameters: table_name.
-- Why it can be re-run: reads only.
SELECT column_name
FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = %(table_name)s
  AND column_name NOT IN ('status', 'last_modify_time')
ORDER BY ordinal_position
