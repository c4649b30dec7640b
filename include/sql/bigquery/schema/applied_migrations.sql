-- Purpose: which migrations are in place.
-- Grain: one row a migration.
SELECT
  version,
  checksum
FROM `{{ project }}.{{ monitor_dataset }}.schema_migrations`;
