-- Purpose: discover the definition tables of an environment, and what only looks like one; new suffixes need no change
--          here.
-- Grain: one row a table or view.
-- Parameters: pattern (LIKE pattern of the name).
SELECT table_name, table_type, COALESCE(engine, '')
FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name LIKE %(pattern)s
ORDER BY table_name
