-- Purpose: record what the day was built from and what came out.
-- Grain: day.
-- Parameters: pt_year, pt_month, pt_day; pt_dt (the same day, yyyy-MM-dd).
-- Repeatable: replaces this day's record of the daily flow. The daily flow keeps no sum by minute, so its
--          ts columns repeat base_evt, grouped. The three counts are added up and not joined: a join without a condition
--          is refused where cartesian products are (hive.strict.checks.cartesian.product).
INSERT OVERWRITE TABLE cma.evt_day_quality PARTITION (flow = 'daily', pt_dt = %(pt_dt)s)
SELECT
  SUM(raw_rows),
  CAST(NULL AS STRING),
  SUM(raw_rows),
  SUM(base_rows),
  SUM(rejected_rows),
  SUM(ts_rows),
  SUM(metrics),
  SUM(minutes),
  SUM(base_eid),
  SUM(base_eid)
FROM (
  SELECT
    COUNT(*) AS raw_rows, 0 AS base_rows, 0 AS rejected_rows, 0 AS ts_rows, 0 AS metrics, 0 AS minutes, 0 AS base_eid
  FROM cma.src_evt
  WHERE pt_year = %(pt_year)s AND pt_month = %(pt_month)s AND pt_day = %(pt_day)s
  UNION ALL
  SELECT
    0 AS raw_rows,
    COUNT(*) AS base_rows,
    0 AS rejected_rows,
    COUNT(DISTINCT oper_ts, oper_type) AS ts_rows,
    COUNT(DISTINCT oper_type) AS metrics,
    COUNT(DISTINCT oper_ts) AS minutes,
    COALESCE(SUM(eid), 0) AS base_eid
  FROM cma.base_evt
  WHERE flow = 'daily' AND pt_dt = %(pt_dt)s
  UNION ALL
  SELECT
    0 AS raw_rows,
    0 AS base_rows,
    COALESCE(SUM(copies), 0) AS rejected_rows,
    0 AS ts_rows,
    0 AS metrics,
    0 AS minutes,
    0 AS base_eid
  FROM cma.evt_rejected
  WHERE flow = 'daily' AND pt_dt = %(pt_dt)s
) counted;
