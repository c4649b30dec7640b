-- Purpose: what makes a stored row of an older table unusable as a draw, defined once: NULL where nothing does, else the
--   short name of the first rule that it breaks, like those of drawsguard.draws.collect.feed. The present tables take no
--   NULL in these columns, and no month could be told for a row without a draw time.
-- Grain: scalar function.
-- Parameters: the columns of a draw.
CREATE OR REPLACE FUNCTION `{{ project }}.{{ source_dataset }}.draw_fault`(
  period INT64,
  draw_time TIMESTAMP,
  numbers ARRAY<INT64>,
  sum_value INT64,
  big_small STRING,
  odd_even STRING,
  created_at TIMESTAMP
) RETURNS STRING AS (
  CASE
    WHEN period IS NULL THEN 'period_missing'
    WHEN draw_time IS NULL THEN 'time_missing'
    WHEN draw_time < TIMESTAMP '2000-01-01 00:00:00+00:00' THEN 'time_invalid'
    WHEN created_at IS NULL THEN 'created_at_missing'
    WHEN COALESCE(ARRAY_LENGTH(numbers), 0) != 3 THEN 'number_invalid'
    WHEN
      LEAST(numbers[SAFE_OFFSET(0)], numbers[SAFE_OFFSET(1)], numbers[SAFE_OFFSET(2)]) < 0
      OR GREATEST(numbers[SAFE_OFFSET(0)], numbers[SAFE_OFFSET(1)], numbers[SAFE_OFFSET(2)]) > 9
      THEN 'number_invalid'
    WHEN
      sum_value IS NULL
      OR sum_value != numbers[SAFE_OFFSET(0)] + numbers[SAFE_OFFSET(1)] + numbers[SAFE_OFFSET(2)]
      THEN 'sum_mismatch'
    WHEN big_small IS NULL OR big_small != IF(sum_value >= 14, 'big', 'small') THEN 'big_small_mismatch'
    WHEN odd_even IS NULL OR odd_even != IF(MOD(sum_value, 2) = 1, 'odd', 'even') THEN 'odd_even_mismatch'
  END
);
