-- Purpose: how many draws should have arrived since the last one and have not: the cadence of drawsguard/draws/cadence.py
--   as SQL, compared with it by a test. A draw every draw_interval_seconds; no draws in maintenance, 04:00 to 05:00 in
--   maintenance_timezone (05:30 on Mondays), and the first one after it at its end. An allowance is the time that a draw
--   may take to arrive.
-- Grain: scalar functions.
-- Parameters: the last draw's time, the time of judgement, the allowance (seconds).
-- The zone's offsets are rendered from the locked zone data: with the engine's own, both could differ by an hour.
{% macro offset_at(moment) %}
CASE
    {% for since, _day, seconds in maintenance_offsets[:-1] %}
    WHEN {{ moment }} >= TIMESTAMP '{{ since }}+00' THEN {{ seconds }}
    {% endfor %}
    ELSE {{ maintenance_offsets[-1][2] }}
  END
{%- endmacro %}
{% macro start_on(day) %}
TIMESTAMP_SUB(
    TIMESTAMP(DATETIME({{ day }}, TIME '04:00:00'), 'UTC'),
    INTERVAL CASE
      {% for _since, since_day, seconds in maintenance_offsets[:-1] %}
      WHEN {{ day }} >= DATE '{{ since_day }}' THEN {{ seconds }}
      {% endfor %}
      ELSE {{ maintenance_offsets[-1][2] }}
    END SECOND
  )
{%- endmacro %}
CREATE OR REPLACE FUNCTION `{{ project }}.{{ monitor_dataset }}.in_maintenance`(moment TIMESTAMP)
RETURNS BOOL AS ((
  SELECT
    TIME(local_time, 'UTC') >= TIME '04:00:00'
    AND TIME(local_time, 'UTC')
    < IF(EXTRACT(DAYOFWEEK FROM DATE(local_time, 'UTC')) = 2, TIME '05:30:00', TIME '05:00:00')
  FROM (SELECT TIMESTAMP_ADD(moment, INTERVAL {{ offset_at("moment") }} SECOND) AS local_time) AS wall
));

CREATE OR REPLACE FUNCTION `{{ project }}.{{ monitor_dataset }}.overdue_draws`(
  last_draw TIMESTAMP, as_of TIMESTAMP, allowance_seconds INT64
) RETURNS INT64 AS ((
  -- Draws fall on a grid from the last draw on, and on a new one from the end of each maintenance on.
  SELECT
    CAST(
      COALESCE(
        SUM(CEIL(GREATEST(0, TIMESTAMP_DIFF(closes, opens, MILLISECOND)) / {{ 1000 * draw_interval_seconds }})), 0
      ) AS INT64
    )
  FROM (
    SELECT
      IF(
        last_draw < reopened, reopened, TIMESTAMP_ADD(last_draw, INTERVAL {{ draw_interval_seconds }} SECOND)
      ) AS opens,
      LEAST(
        {{ start_on("local_day") }}, TIMESTAMP_ADD(as_of, INTERVAL 1 - 1000 * allowance_seconds MILLISECOND)
      ) AS closes
    FROM (
      SELECT
        local_day,
        TIMESTAMP_ADD(
          {{ start_on("DATE_SUB(local_day, INTERVAL 1 DAY)") }},
          INTERVAL IF(EXTRACT(DAYOFWEEK FROM local_day) = 3, 90, 60) MINUTE
        ) AS reopened
      FROM
        UNNEST(
          GENERATE_DATE_ARRAY(
            DATE(TIMESTAMP_ADD(last_draw, INTERVAL {{ offset_at("last_draw") }} SECOND), 'UTC'),
            DATE_ADD(DATE(TIMESTAMP_ADD(as_of, INTERVAL {{ offset_at("as_of") }} SECOND), 'UTC'), INTERVAL 1 DAY)
          )
        ) AS local_day
    ) AS days
  ) AS spans
));
