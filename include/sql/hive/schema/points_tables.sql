-- Purpose: the tables of the usage evidence, from one day's filtered telemetry up to the table that is pushed to MySQL.
-- Grain: named at each table. `flow` keeps the 180-day flow (window) and the legacy JSON flow (daily) apart, so that
--        neither replaces or truncates what the other wrote.
-- Repeatable: CREATE ... IF NOT EXISTS only; a table that exists with other columns is refused by the guard.
-- Files: on Hive 4 and CDP a plain CREATE TABLE makes an external table, which keeps the files of a dropped partition, so
--        that a day that is built again can be there twice. external.table.purge prevents it; the guard refuses a table
--        that lacks it.
-- Times are text, 'yyyy-MM-dd HH:mm:ss' in Asia/Shanghai as CMA reports them: Hive, Impala and Spark disagree on the
-- zone of a TIMESTAMP in Parquet, and on text of this form MAX means the same everywhere.

CREATE DATABASE IF NOT EXISTS cma;

-- One row per minute, metric and reporting instance of a day. Emptied once its result is proven to be in MySQL.
CREATE TABLE IF NOT EXISTS cma.base_evt (
  oper_ts   STRING COMMENT 'minute, Asia/Shanghai',
  oper_type STRING COMMENT 'CMA metric: operation, kind and id',
  eid       BIGINT COMMENT 'count in that minute'
)
COMMENT 'EVT telemetry, filtered, instances apart'
PARTITIONED BY (flow STRING, pt_dt STRING)
STORED AS PARQUET
TBLPROPERTIES ('external.table.purge' = 'true');

-- One row per rejected record (identical ones folded into copies).
CREATE TABLE IF NOT EXISTS cma.evt_rejected (
  reason      STRING COMMENT 'why the record was rejected',
  oper_ts     STRING COMMENT 'as received',
  oper_type   STRING COMMENT 'as received',
  `instance`  STRING COMMENT 'as received',
  `raw_value` STRING COMMENT 'count as received, or the whole line when it is no record',
  copies      BIGINT COMMENT 'how many such records'
)
COMMENT 'EVT telemetry that was not counted'
PARTITIONED BY (flow STRING, pt_dt STRING)
STORED AS PARQUET
TBLPROPERTIES ('external.table.purge' = 'true');

-- One row per minute and metric of a day: kept, so that a window never needs the raw rows again.
CREATE TABLE IF NOT EXISTS cma.base_evt_ts (
  oper_ts   STRING COMMENT 'minute, Asia/Shanghai',
  oper_type STRING COMMENT 'CMA metric',
  eid       BIGINT COMMENT 'count in that minute, all instances'
)
COMMENT 'EVT telemetry by minute, instances summed'
PARTITIONED BY (pt_dt STRING)
STORED AS PARQUET
TBLPROPERTIES ('external.table.purge' = 'true');

-- One row per metric of a day: what the window is summed from.
CREATE TABLE IF NOT EXISTS cma.base_evt_day (
  oper_ts   STRING COMMENT 'last minute of the day with the metric',
  oper_type STRING COMMENT 'CMA metric',
  eid       BIGINT COMMENT 'count of the day'
)
COMMENT 'EVT telemetry by day'
PARTITIONED BY (pt_dt STRING)
STORED AS PARQUET
TBLPROPERTIES ('external.table.purge' = 'true');

-- One row per day. It is removed before a day is rebuilt and written last: a day is complete only when it is here.
CREATE TABLE IF NOT EXISTS cma.evt_day_quality (
  raw_rows      BIGINT COMMENT 'source rows, every metric',
  last_commit   STRING COMMENT 'newest commit of the source partition: a later one means late data',
  evt_rows      BIGINT COMMENT 'source rows that are EVT telemetry',
  base_rows     BIGINT COMMENT 'rows in base_evt',
  rejected_rows BIGINT COMMENT 'records rejected',
  ts_rows       BIGINT COMMENT 'rows in base_evt_ts',
  metrics       BIGINT COMMENT 'distinct metrics',
  minutes       BIGINT COMMENT 'distinct minutes, 1440 in a whole day',
  base_eid      BIGINT COMMENT 'sum of counts in base_evt',
  ts_eid        BIGINT COMMENT 'sum of counts in base_evt_ts'
)
COMMENT 'what each day was built from'
PARTITIONED BY (flow STRING, pt_dt STRING)
STORED AS PARQUET
TBLPROPERTIES ('external.table.purge' = 'true');

-- One row per metric of the window (flow window) or of the day (flow daily). Emptied once it is proven to be in MySQL.
CREATE TABLE IF NOT EXISTS cma.ads_evt_ops_status (
  oper_ts   STRING COMMENT 'last minute with the metric',
  oper_type STRING COMMENT 'CMA metric',
  eid       BIGINT COMMENT 'count in the window, in the daily flow 1 when used, 0 when not'
)
COMMENT 'usage per metric, pushed to MySQL at 15:00'
PARTITIONED BY (flow STRING)
STORED AS PARQUET
TBLPROPERTIES ('external.table.purge' = 'true');

-- One row per flow: which window ads_evt_ops_status was built from, and what it held then.
CREATE TABLE IF NOT EXISTS cma.ads_evt_ops_build (
  window_start STRING COMMENT 'first day',
  window_end   STRING COMMENT 'last day (included)',
  row_count    BIGINT COMMENT 'rows of ads_evt_ops_status when it was built',
  eid_sum      BIGINT COMMENT 'sum of eid',
  checksum     BIGINT COMMENT 'sum of the CRC-32 of every row'
)
COMMENT 'stamp of the last build'
PARTITIONED BY (flow STRING)
STORED AS PARQUET
TBLPROPERTIES ('external.table.purge' = 'true');
