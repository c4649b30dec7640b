-- Purpose: record that a migration is in place.
-- Grain: one row a migration.
-- Parameters: @version, @name, @checksum STRING; @applied_at TIMESTAMP; @run_id STRING.
-- Repeatable: MERGE on version; a second application replaces the record of the first.

MERGE `{{ project }}.{{ monitor_dataset }}.schema_migrations` AS target
USING (
  SELECT @version AS version, @name AS name, @checksum AS checksum, @applied_at AS applied_at, @run_id AS run_id
) AS source
ON target.version = source.version
WHEN MATCHED THEN UPDATE SET
  name = source.name,
  checksum = source.checksum,
  applied_at = source.applied_at,
  run_id = source.run_id
WHEN NOT MATCHED THEN INSERT (version, name, checksum, applied_at, run_id)
VALUES (source.version, source.name, source.checksum, source.applied_at, source.run_id);
