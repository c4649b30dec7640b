-- Purpose: filter one or more days of raw CMA history to EVT telemetry (base_evt) and reject what cannot be counted
--          (evt_rejected). A record that was uploaded twice counts once, with its largest count: too much use seen
--          delays a downline, too little takes a point from its users.
-- A pattern's $ also matches before a last line end, in every engine: hence the second look at each text.
-- Grain: base_evt: minute, metric, instance, day. evt_rejected: distinct rejected record, day.
-- Parameters: days (list of yyyy-MM-dd), pattern (of oper_type), max_count (largest count of one minute).
-- Repeatable: replaces the partitions of exactly these days, which were dropped just before.
SET hive.exec.dynamic.partition.mode=nonstrict;
SET hive.exec.max.dynamic.partitions.pernode=1000;

FROM (
  SELECT
    pt_dt,
    reason,
    CASE WHEN reason IS NULL THEN concat(substr(ts, 1, 16), ':00') ELSE ts END AS oper_ts,
    metric,
    `instance`,
    CASE WHEN reason IS NOT NULL THEN `value` END AS rejected_value,
    MAX(CASE WHEN reason IS NULL THEN CAST(`value` AS BIGINT) END) AS eid,
    COUNT(*) AS copies
  FROM (
    SELECT
      pt_dt,
      ts,
      metric,
      `instance`,
      `value`,
      CASE
        WHEN metric IS NULL OR metric RLIKE '[^!-~]' OR NOT metric RLIKE %(pattern)s THEN 'unknown_oper_type'
        WHEN ts IS NULL OR length(ts) <> 19 OR NOT ts RLIKE '^[0-9]{4}-[0-9]{2}-[0-9]{2} ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$'
          THEN 'bad_time'
        WHEN substr(ts, 1, 10) <> pt_dt THEN 'time_outside_day'
        WHEN `value` IS NULL OR `value` RLIKE '[^-0-9]' OR NOT `value` RLIKE '^-?[0-9]{1,18}$' THEN 'bad_count'
        WHEN CAST(`value` AS BIGINT) < 0 THEN 'negative_count'
        WHEN CAST(`value` AS BIGINT) > %(max_count)s THEN 'absurd_count'
      END AS reason
    FROM datalake_platform.cma_hudi
    WHERE pt_dt IN %(days)s AND app = 'EVT'
  ) judged
  GROUP BY
    pt_dt,
    reason,
    CASE WHEN reason IS NULL THEN concat(substr(ts, 1, 16), ':00') ELSE ts END,
    metric,
    `instance`,
    CASE WHEN reason IS NOT NULL THEN `value` END
) grouped
INSERT OVERWRITE TABLE cma.base_evt PARTITION (flow = 'window', pt_dt)
  SELECT oper_ts, metric, eid, pt_dt
  WHERE reason IS NULL
INSERT OVERWRITE TABLE cma.evt_rejected PARTITION (flow = 'window', pt_dt)
  SELECT
    COALESCE(reason, 'duplicate_upload'),
    oper_ts,
    metric,
    `instance`,
    COALESCE(rejected_value, CAST(eid AS STRING)),
    CASE WHEN reason IS NULL THEN copies - 1 ELSE copies END,
    pt_dt
  WHERE reason IS NOT NULL OR copies > 1;
