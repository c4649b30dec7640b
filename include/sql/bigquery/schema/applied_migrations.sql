-- Purpose: which migrations are in place.
-- Grain: one row a migration.
-- Parameters: none.
-- Why it can be re-run: reads only.

SELECT
  version,
  checksum
FROM `{{ project }}.{{ monitor_dataset }}.schema_migrations`;
