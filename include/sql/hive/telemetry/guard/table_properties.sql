-- Purpose: whether a table keeps the files of dropped partitions: an external one without external.table.purge does.
-- Grain: property.
-- Parameters: table (an identifier).
SHOW TBLPROPERTIES cma.{{ table }}
