-- labels: {'dag': 'warehouse_schema', 'task': 'migrate', 'statement': 'schema_r__010_draw_version'}
-- maximumBytesBilled: 10737418240

CREATE OR REPLACE FUNCTION `wprojectl.drawsguard.draw_version`(
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
