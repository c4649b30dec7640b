-- Purpose: the last minute and the count of each metric and day.
-- Grain: metric, day.
-- Parameters: days (list of yyyy-MM-dd).
-- Repeatable: replaces the partitions of exactly these days, which were dropped just before.
SET hive.exec.dynamic.partition.mode=nonstrict;
SET hive.exec.max.dynamic.partitions.pernode=1000;

INSERT OVERWRITE TABLE cma.base_evt_day PARTITION (pt_dt)
SELECT MAX(oper_ts), oper_type, SUM(eid), pt_dt
FROM cma.base_evt_ts
WHERE pt_dt IN %(days)s
GROUP BY pt_dt, oper_type;
