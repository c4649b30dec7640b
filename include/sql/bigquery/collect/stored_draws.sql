-- Purpose: the newest stored version of the draws in these blocks of periods: what an answer is held against.
-- Grain: one row a period.
-- Parameters: @read_from, @read_until (TIMESTAMP) and @period_from, @period_until (INT64), half open, as from
--   stored_bounds.sql; @blocks (ARRAY<INT64>) of @block_size (INT64) periods each, numbered from period 0.
SELECT period, timestamp, numbers
FROM `{{ project }}.{{ source_dataset }}.draws`
WHERE timestamp >= @read_from AND timestamp < @read_until
  AND period >= @period_from AND period < @period_until
  AND DIV(period, @block_size) IN UNNEST(@blocks)
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY period
  ORDER BY
    `{{ project }}.{{ source_dataset }}.draw_version`(
      updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
    ) DESC
) = 1
ORDER BY period
