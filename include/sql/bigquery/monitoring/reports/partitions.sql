-- Purpose: partitions and storage of the tables of a dataset.
-- Grain: one row a table.
-- Parameters: none; identifier dataset.
SELECT
  CONCAT(p.table_schema, '.', p.table_name) AS table_name,
  COUNT(*) AS partitions,
  SUM(total_rows) AS total_rows,
  SUM(total_logical_bytes) AS logical_bytes
FROM `{{ project }}.{{ dataset }}`.INFORMATION_SCHEMA.PARTITIONS AS p
GROUP BY p.table_schema, p.table_name
ORDER BY table_name;
