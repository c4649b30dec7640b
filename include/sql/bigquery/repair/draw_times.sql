-- Purpose: when the draws around missing ones were drawn, after the newest version that either side has of each.
-- Grain: one row a period.
-- Parameters: @period_from, @period_until (INT64) the periods in question and @read_from, @read_until (TIMESTAMP) what
--   holds every row of them, both half open; @blocks (ARRAY<INT64>) of @block_size (INT64) periods each, numbered from
--   period 0: the draws next to a gap.
SELECT period, timestamp AS drawn_at
FROM (
  SELECT
    period,
    timestamp,
    `{{ project }}.{{ source_dataset }}.draw_version`(
      updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
    ) AS version
  FROM `{{ project }}.{{ source_dataset }}.draws`
  WHERE timestamp >= @read_from AND timestamp < @read_until AND period >= @period_from AND period < @period_until
    AND DIV(period, @block_size) IN UNNEST(@blocks)
  UNION ALL
  SELECT
    period,
    timestamp,
    `{{ project }}.{{ source_dataset }}.draw_version`(
      updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
    ) AS version
  FROM `{{ project }}.{{ target_dataset }}.draws`
  WHERE timestamp >= @read_from AND timestamp < @read_until AND period >= @period_from AND period < @period_until
    AND DIV(period, @block_size) IN UNNEST(@blocks)
)
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY period ORDER BY version DESC) = 1
ORDER BY period
