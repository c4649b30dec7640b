-- Purpose: the order of a draw's versions, defined once: of two versions the one with the greater key is newer.
--   COALESCE(updated_at, created_at) first, then created_at, then every value, so that the order is total and two
--   versions with one key are equal in every column. Each part has a fixed width, so text order is value order.
-- Grain: scalar function; one key a version.
-- Parameters: the columns of a draw.
-- Why it can be re-run: CREATE OR REPLACE.

CREATE OR REPLACE FUNCTION `{{ project }}.{{ source_dataset }}.draw_version`(
  updated_at TIMESTAMP,
  created_at TIMESTAMP,
  draw_time TIMESTAMP,
  numbers ARRAY<INT64>,
  sum_value INT64,
  big_small STRING,
  odd_even STRING
) RETURNS STRING AS (
  FORMAT(
    '%020d %020d %s %020d %s %03d %s %s',
    UNIX_MICROS(COALESCE(updated_at, created_at)),
    UNIX_MICROS(created_at),
    IF(updated_at IS NULL, 'original', 'updated'),
    UNIX_MICROS(draw_time),
    ARRAY_TO_STRING(ARRAY(SELECT CAST(n AS STRING) FROM UNNEST(numbers) AS n WITH OFFSET AS i ORDER BY i), '+'),
    sum_value,
    big_small,
    odd_even
  )
);
