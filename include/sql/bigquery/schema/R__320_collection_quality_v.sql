-- Purpose: did every draw of the day arrive, once and right. Complete means that the numbers of the draws are
--   consecutive: they run on over maintenance and midnight, so a day's expectation is the last number of the day less the
--   last one of the day before.
-- Grain: one row a Beijing day, with or without draws: the days asked for; in the view today and the six days before.
-- Parameters: the functions take the time of judgement, and one the first and the last day; the view judges now.
-- missing_periods and unsynced_periods leave out draws younger than 20 minutes: the feed brings some late. A draw that was
--   collected more than an hour after it was drawn is history: a hole beside it counts 20 minutes after it was collected,
--   since a load that is under way fills it, and it has an hour to be synced.

CREATE OR REPLACE TABLE FUNCTION `{{ project }}.{{ monitor_dataset }}.collection_quality_between`(
  first_day DATE, last_day DATE, as_of TIMESTAMP
) AS
SELECT
  beijing_day,
  expected,
  raw_rows,
  distinct_periods,
  duplicate_rows,
  missing_periods,
  unsynced_periods,
  invalid_rows,
  conflicting_periods,
  late_rows,
  IF(expected > 0, ROUND(100 * (expected - missing_periods) / expected, 3), NULL) AS completeness_pct,
  CASE
    WHEN raw_rows = 0 AND beijing_day < DATE(as_of, 'Asia/Shanghai') THEN 'empty'
    WHEN missing_periods > 0 OR unsynced_periods > 0 THEN 'incomplete'
    ELSE 'complete'
  END AS status
FROM (
  SELECT
    wanted_day AS beijing_day,
    COALESCE(days.settled_periods + days.missing_periods, 0) AS expected,
    COALESCE(days.missing_periods, 0) AS missing_periods,
    COALESCE(days.raw_rows, 0) AS raw_rows,
    COALESCE(days.distinct_periods, 0) AS distinct_periods,
    COALESCE(days.raw_rows - days.versions, 0) AS duplicate_rows,
    COALESCE(days.unsynced_periods, 0) AS unsynced_periods,
    COALESCE(bad.invalid_rows, 0) AS invalid_rows,
    COALESCE(days.conflicting_periods, 0) AS conflicting_periods,
    COALESCE(days.late_rows, 0) AS late_rows
  FROM
    UNNEST(
      GENERATE_DATE_ARRAY(DATE_SUB(first_day, INTERVAL 1 DAY), last_day)
    ) AS wanted_day
  LEFT JOIN (
    SELECT
      DATE(p.draw_time, 'Asia/Shanghai') AS beijing_day,
      SUM(p.raw_rows) AS raw_rows,
      SUM(p.versions) AS versions,
      COUNT(*) AS distinct_periods,
      COUNTIF(p.draw_time <= TIMESTAMP_SUB(as_of, INTERVAL 20 MINUTE)) AS settled_periods,
      SUM(
        IF(
          GREATEST(p.shown_at, p.previous_shown_at) <= TIMESTAMP_SUB(as_of, INTERVAL 20 MINUTE),
          p.period - p.previous_period - 1,
          0
        )
      ) AS missing_periods,
      COUNTIF(p.results > 1) AS conflicting_periods,
      COUNTIF(TIMESTAMP_DIFF(p.first_ingested_at, p.draw_time, SECOND) > 300) AS late_rows,
      COUNTIF(
        t.period IS NULL
        AND p.first_ingested_at <= TIMESTAMP_SUB(as_of, INTERVAL IF(p.is_history, 60, 20) MINUTE)
      ) AS unsynced_periods
    FROM (
      SELECT
        period,
        draw_time,
        first_ingested_at,
        raw_rows,
        versions,
        results,
        TIMESTAMP_DIFF(first_ingested_at, draw_time, SECOND) > 3600 AS is_history,
        IF(TIMESTAMP_DIFF(first_ingested_at, draw_time, SECOND) > 3600, first_ingested_at, draw_time) AS shown_at,
        LAG(period) OVER (ORDER BY period) AS previous_period,
        LAG(IF(TIMESTAMP_DIFF(first_ingested_at, draw_time, SECOND) > 3600, first_ingested_at, draw_time))
          OVER (ORDER BY period) AS previous_shown_at
      FROM (
        SELECT
          period,
          MIN(timestamp) AS draw_time,
          MIN(ingested_at) AS first_ingested_at,
          COUNT(*) AS raw_rows,
          COUNT(DISTINCT CONCAT(CAST(created_at AS STRING), ' ', COALESCE(CAST(updated_at AS STRING), 'never'))) AS versions,
          COUNT(DISTINCT FORMAT('%d+%d+%d', numbers[SAFE_OFFSET(0)], numbers[SAFE_OFFSET(1)], numbers[SAFE_OFFSET(2)]))
            AS results
        FROM `{{ project }}.{{ source_dataset }}.draws`
        WHERE
          timestamp >= TIMESTAMP(DATE_SUB(first_day, INTERVAL 3 DAY), 'Asia/Shanghai')
          AND timestamp < TIMESTAMP(DATE_ADD(last_day, INTERVAL 1 DAY), 'Asia/Shanghai')
          AND timestamp <= as_of
          AND ingested_at <= as_of
        GROUP BY period
      ) AS found
    ) AS p
    LEFT JOIN (
      SELECT DISTINCT period
      FROM `{{ project }}.{{ target_dataset }}.draws`
      WHERE
        timestamp >= TIMESTAMP(DATE_SUB(first_day, INTERVAL 3 DAY), 'Asia/Shanghai')
        AND timestamp < TIMESTAMP(DATE_ADD(last_day, INTERVAL 1 DAY), 'Asia/Shanghai')
        AND timestamp <= as_of
        AND synced_at <= as_of
    ) AS t
      ON p.period = t.period
    GROUP BY beijing_day
  ) AS days
    ON wanted_day = days.beijing_day
  LEFT JOIN (
    SELECT
      DATE(first_seen_at, 'Asia/Shanghai') AS beijing_day,
      COUNT(*) AS invalid_rows
    FROM `{{ project }}.{{ source_dataset }}.draws_quarantine`
    WHERE
      first_seen_at >= TIMESTAMP(DATE_SUB(first_day, INTERVAL 1 DAY), 'Asia/Shanghai')
      AND first_seen_at <= as_of
      -- What an older table held is no fault of today's feed.
      AND NOT STARTS_WITH(source, 'history ')
    GROUP BY beijing_day
  ) AS bad
    ON wanted_day = bad.beijing_day
)
WHERE beijing_day >= first_day;

CREATE OR REPLACE TABLE FUNCTION `{{ project }}.{{ monitor_dataset }}.collection_quality_at`(as_of TIMESTAMP) AS
SELECT
  beijing_day, expected, raw_rows, distinct_periods, duplicate_rows, missing_periods, unsynced_periods, invalid_rows,
  conflicting_periods, late_rows, completeness_pct, status
FROM `{{ project }}.{{ monitor_dataset }}.collection_quality_between`(
  DATE_SUB(DATE(as_of, 'Asia/Shanghai'), INTERVAL 6 DAY), DATE(as_of, 'Asia/Shanghai'), as_of
);

CREATE OR REPLACE VIEW `{{ project }}.{{ monitor_dataset }}.collection_quality_v`
OPTIONS (description = 'Completeness and quality of the collected draws by Beijing day.') AS
SELECT
  beijing_day, expected, raw_rows, distinct_periods, duplicate_rows, missing_periods, unsynced_periods, invalid_rows,
  conflicting_periods, late_rows, completeness_pct, status
FROM `{{ project }}.{{ monitor_dataset }}.collection_quality_at`(CURRENT_TIMESTAMP());
