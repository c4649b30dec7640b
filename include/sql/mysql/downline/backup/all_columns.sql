-- Purpose: every column of a table that holds values of its own, hidden ones too; a generated one follows from them.
-- Grain: one row a column.
-- Parameters: table_schema, table_name.
SELECT column_name
FROM information_schema.columns
WHERE table_schema = %(table_schema)s AND table_name = %(table_name)s
  AND COALESCE(generation_expression, '') = ''
ORDER BY ordinal_position
