-- Purpose: discover the definition tables of an environment; new suffixes need no change here.
-- Grain: one row a table.
-- Parameters: pattern (LIKE pattern of the name).
SELECT table_name
FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name LIKE %(pattern)s
ORDER BY table_name
