-- Purpose: copy one month of a legacy table into the partitioned one: valid rows, each version once.
-- Grain: one row a version of a draw.
-- Parameters: @month_start, @month_end (TIMESTAMP), half open.
-- Repeatable: MERGE on the version; a month that is copied again, whole or half copied before, inserts only
--   what is not there.
MERGE `{{ project }}.{{ dataset }}.draws_partitioned` AS target
USING (
  WITH versions AS (
    SELECT
      period,
      timestamp,
      numbers,
      sum_value,
      big_small,
      odd_even,
      created_at,
      updated_at,
      `{{ project }}.{{ source_dataset }}.draw_version`(
        updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
      ) AS version,
      `{{ project }}.{{ source_dataset }}.draw_fault`(
        period, timestamp, numbers, sum_value, big_small, odd_even, created_at
      ) AS fault
    FROM `{{ project }}.{{ dataset }}.draws`
    WHERE timestamp >= @month_start AND timestamp < @month_end
  )
  SELECT
    period,
    timestamp,
    numbers,
    sum_value,
    big_small,
    odd_even,
    created_at,
    updated_at,
    version
  FROM versions
  WHERE fault IS NULL
  QUALIFY ROW_NUMBER() OVER (PARTITION BY period, version ORDER BY period) = 1
) AS source
ON target.period = source.period
  AND target.timestamp >= @month_start AND target.timestamp < @month_end
  AND `{{ project }}.{{ source_dataset }}.draw_version`(
    target.updated_at, target.created_at, target.timestamp, target.numbers, target.sum_value, target.big_small,
    target.odd_even
  ) = source.version
WHEN NOT MATCHED THEN INSERT (
  period, timestamp, numbers, sum_value, big_small, odd_even, created_at, updated_at, {{ stamp }}
) VALUES (
  source.period, source.timestamp, source.numbers, source.sum_value, source.big_small, source.odd_even,
  source.created_at, source.updated_at, COALESCE(source.updated_at, source.created_at)
)
