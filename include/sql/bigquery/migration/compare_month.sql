-- Purpose: hold a month of the legacy table against the partitioned one: how many versions, and a digest of all values.
-- Grain: one row.
-- Parameters: @month_start, @month_end (TIMESTAMP), half open.
-- Why it can be re-run: it only reads.
WITH valid_rows AS (
  SELECT
    period,
    `{{ project }}.{{ source_dataset }}.draw_version`(
      updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
    ) AS version
  FROM `{{ project }}.{{ dataset }}.draws`
  WHERE timestamp >= @month_start AND timestamp < @month_end
    AND ARRAY_LENGTH(numbers) = 3
    AND sum_value = (SELECT SUM(digit) FROM UNNEST(numbers) AS digit)
    AND big_small = IF(sum_value >= 14, 'big', 'small')
    AND odd_even = IF(MOD(sum_value, 2) = 1, 'odd', 'even')
),
legacy AS (
  SELECT
    COUNT(*) AS versions,
    SUM(copies) AS valid_rows,
    BIT_XOR(FARM_FINGERPRINT(CONCAT(CAST(period AS STRING), ' ', version))) AS digest
  FROM (
    SELECT period, version, COUNT(*) AS copies
    FROM valid_rows
    GROUP BY period, version
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
    FROM `{{ project }}.{{ dataset }}.draws_partitioned`
    WHERE timestamp >= @month_start AND timestamp < @month_end
  )
),
every_row AS (
  SELECT COUNT(*) AS row_count
  FROM `{{ project }}.{{ dataset }}.draws`
  WHERE timestamp >= @month_start AND timestamp < @month_end
)
SELECT
  legacy.versions AS legacy_versions,
  migrated.versions AS migrated_versions,
  every_row.row_count - COALESCE(legacy.valid_rows, 0) AS invalid_rows,
  legacy.digest AS legacy_digest,
  migrated.digest AS migrated_digest
FROM legacy
CROSS JOIN migrated
CROSS JOIN every_row
