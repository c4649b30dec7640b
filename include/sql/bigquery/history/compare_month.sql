-- Purpose: hold a month of the legacy table against the partitioned one: how many versions, and a digest of all values.
-- Grain: one row.
-- Parameters: @month_start, @month_end (TIMESTAMP), half open.
WITH every_row AS (
  SELECT
    period,
    `{{ project }}.{{ source_dataset }}.draw_version`(
      updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
    ) AS version,
    `{{ project }}.{{ source_dataset }}.draw_fault`(
      period, timestamp, numbers, sum_value, big_small, odd_even, created_at
    ) AS fault
  FROM `{{ project }}.{{ dataset }}.{{ legacy }}`
  WHERE timestamp >= @month_start AND timestamp < @month_end
),
legacy AS (
  SELECT
    COUNT(*) AS versions,
    BIT_XOR(FARM_FINGERPRINT(CONCAT(CAST(period AS STRING), ' ', version))) AS digest
  FROM (
    SELECT DISTINCT period, version
    FROM every_row
    WHERE fault IS NULL
  )
),
migrated AS (
  SELECT
    COUNT(*) AS versions,
    BIT_XOR(FARM_FINGERPRINT(CONCAT(CAST(period AS STRING), ' ', version))) AS digest
  FROM (
    SELECT
      period,
      `{{ project }}.{{ source_dataset }}.draw_version`(
        updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
      ) AS version
    FROM `{{ project }}.{{ dataset }}.{{ partitioned }}`
    WHERE timestamp >= @month_start AND timestamp < @month_end
  )
),
faulty AS (
  SELECT COUNT(*) AS row_count
  FROM every_row
  WHERE fault IS NOT NULL
)
SELECT
  legacy.versions AS legacy_versions,
  migrated.versions AS migrated_versions,
  faulty.row_count AS invalid_rows,
  legacy.digest AS legacy_digest,
  migrated.digest AS migrated_digest
FROM legacy
CROSS JOIN migrated
CROSS JOIN faulty
