-- Purpose: record what each day was built from and what came out: the last step, which makes the day complete.
-- Grain: day.
-- Parameters: days (list of yyyy-MM-dd).
-- Repeatable: replaces the partitions of exactly these days. A day without source rows gets no record.
SET hive.exec.dynamic.partition.mode=nonstrict;
SET hive.exec.max.dynamic.partitions.pernode=1000;

INSERT OVERWRITE TABLE cma.evt_day_quality PARTITION (flow = 'window', pt_dt)
SELECT
  raw_day.raw_rows,
  raw_day.last_commit,
  raw_day.evt_rows,
  COALESCE(base.row_count, 0),
  COALESCE(rejected.row_count, 0),
  COALESCE(by_minute.row_count, 0),
  COALESCE(by_minute.metrics, 0),
  COALESCE(by_minute.minutes, 0),
  COALESCE(base.eid, 0),
  COALESCE(by_minute.eid, 0),
  raw_day.pt_dt
FROM (
  SELECT
    pt_dt,
    COUNT(*) AS raw_rows,
    MAX(`_hoodie_commit_time`) AS last_commit,
    SUM(CASE WHEN app = 'EVT' THEN 1 ELSE 0 END) AS evt_rows
  FROM datalake_platform.cma_hudi
  WHERE pt_dt IN %(days)s
  GROUP BY pt_dt
) raw_day
LEFT JOIN (
  SELECT pt_dt, COUNT(*) AS row_count, SUM(eid) AS eid
  FROM cma.base_evt
  WHERE flow = 'window' AND pt_dt IN %(days)s
  GROUP BY pt_dt
) base ON base.pt_dt = raw_day.pt_dt
LEFT JOIN (
  SELECT
    pt_dt,
    COUNT(*) AS row_count,
    COUNT(DISTINCT oper_type) AS metrics,
    COUNT(DISTINCT oper_ts) AS minutes,
    SUM(eid) AS eid
  FROM cma.base_evt_ts
  WHERE pt_dt IN %(days)s
  GROUP BY pt_dt
) by_minute ON by_minute.pt_dt = raw_day.pt_dt
LEFT JOIN (
  SELECT pt_dt, SUM(copies) AS row_count
  FROM cma.evt_rejected
  WHERE flow = 'window' AND pt_dt IN %(days)s
  GROUP BY pt_dt
) rejected ON rejected.pt_dt = raw_day.pt_dt;
