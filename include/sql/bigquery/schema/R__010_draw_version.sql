-- Purpose: the order of a draw's versions, defined once: of two versions the one with the greater key is newer.
--   COALESCE(updated_at, created_at) first, then created_at, then every value, so that the order is total and two
--   versions with one key are equal in every column. Each part has a fixed width (three digits from 0 to 9: [8,8,4]), so
--   text order is value order. BigQuery puts the body in place of the call, also in the conditions of a MERGE, where it
--   takes no subquery: none may stand here.
-- Grain: scalar function; one key a version.
-- Parameters: the columns of a draw.
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
    TO_JSON_STRING(numbers),
    sum_value,
    big_small,
    odd_even
  )
);
