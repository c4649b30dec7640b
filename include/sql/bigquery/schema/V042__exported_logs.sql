-- Purpose: the tables that log sinks of Cloud Scheduler, Cloud Run and audit write (partitioned tables chosen).
--   In production the sinks create them; created here first, the views exist before the first log line does.
-- Grain: one row a log entry (insertId).
-- Repeatable: IF NOT EXISTS leaves the sinks' own tables as they are.

CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.cloudscheduler_googleapis_com_executions` (
  logName STRING,
  resource STRUCT<type STRING, labels STRUCT<job_id STRING, project_id STRING, location STRING>>,
  jsonpayload_logging_attemptstarted STRUCT<jobname STRING, scheduledtime STRING, targettype STRING, url STRING>,
  jsonpayload_logging_attemptfinished STRUCT<
    jobname STRING, targettype STRING, url STRING, status STRING, debuginfo STRING
  >,
  httpRequest STRUCT<status INT64>,
  timestamp TIMESTAMP,
  receiveTimestamp TIMESTAMP,
  severity STRING,
  insertId STRING
)
PARTITION BY DATE(timestamp)
OPTIONS (partition_expiration_days = 400, description = 'Log sink of Cloud Scheduler.');

CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.run_googleapis_com_requests` (
  logName STRING,
  resource STRUCT<
    type STRING,
    labels STRUCT<
      service_name STRING, revision_name STRING, configuration_name STRING, project_id STRING, location STRING
    >
  >,
  httpRequest STRUCT<
    requestMethod STRING, requestUrl STRING, requestSize INT64, status INT64, responseSize INT64, userAgent STRING,
    remoteIp STRING, latency FLOAT64, protocol STRING
  >,
  timestamp TIMESTAMP,
  receiveTimestamp TIMESTAMP,
  severity STRING,
  insertId STRING,
  trace STRING
)
PARTITION BY DATE(timestamp)
OPTIONS (partition_expiration_days = 400, description = 'Log sink of Cloud Run requests.');

CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.cloudaudit_googleapis_com_activity` (
  logName STRING,
  resource STRUCT<type STRING, labels STRUCT<project_id STRING, service STRING, method STRING>>,
  protopayload_auditlog STRUCT<
    serviceName STRING,
    methodName STRING,
    resourceName STRING,
    authenticationInfo STRUCT<principalEmail STRING>,
    status STRUCT<code INT64, message STRING>
  >,
  timestamp TIMESTAMP,
  receiveTimestamp TIMESTAMP,
  severity STRING,
  insertId STRING
)
PARTITION BY DATE(timestamp)
OPTIONS (partition_expiration_days = 400, description = 'Log sink of admin activity.');
