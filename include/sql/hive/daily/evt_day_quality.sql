-- Purpose: record what the day was built from and what came out.
-- Grain: day.
-- Parameters: pt_year, pt_month, pt_day; pt_dt (the same day, yyyy-MM-dd).
-- Why it can be re-run: replaces this day's record of the daily flow. The daily flow keeps no sum by minute, so its
--          ts columns repeat base_evt, grouped.
INSERT OVERWRITE TABLE cma.evt_day_quality PARTITION (flow = 'daily', pt_dt = %(pt_dt)s)
SELECT
  raw_day.raw_rows,
  CAST(NULL AS STRING),
  raw_day.raw_rows,
  base.row_count,
  rejected.row_count,
  base.ts_rows,
  base.metrics,
  base.minutes,
  base.eid,
  base.eid
FROM (
  SELECT COUNT(*) AS raw_rows
  FROM cma.src_evt
  WHERE pt_year = %(pt_year)s AND pt_month = %(pt_month)s AND pt_day = %(pt_day)s
) raw_day
CROSS JOIN (
  SELECT
    COUNT(*) AS row_count,
    COUNT(DISTINCT oper_ts, oper_type) AS ts_rows,
    COUNT(DISTINCT oper_type) AS metrics,
    COUNT(DISTINCT oper_ts) AS minutes,
    COALESCE(SUM(eid), 0) AS eid
  FROM cma.base_evt
  WHERE flow = 'daily' AND pt_dt = %(pt_dt)s
) base
CROSS JOIN (
  SELECT COALESCE(SUM(copies), 0) AS row_count
  FROM cma.evt_rejected
  WHERE flow = 'daily' AND pt_dt = %(pt_dt)s
) rejected;
