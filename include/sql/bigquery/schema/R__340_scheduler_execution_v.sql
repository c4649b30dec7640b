-- Purpose: does Cloud Scheduler call the services, and do they accept. Success is HTTP 2xx; a success carries no status.
-- Grain: one row an expected job and attempt of the last 24 hours; a job without attempts has one row of NULLs.
-- Parameters: the function takes the time of judgement; the view judges now.
-- overdue_at: from when on success_overdue is true unless the job succeeds again; NULL when it is without any success.
-- The expected jobs are those of include/config/services.yaml, as the schema was applied.

CREATE OR REPLACE TABLE FUNCTION `{{ project }}.{{ monitor_dataset }}.scheduler_execution_at`(as_of TIMESTAMP) AS
SELECT
  job_name,
  attempt_ts,
  http_status,
  status,
  debug_info,
  CASE
    WHEN attempt_ts IS NULL THEN 'no attempt'
    WHEN http_status BETWEEN 200 AND 299 THEN 'success'
    WHEN http_status = 401 OR status = 'UNAUTHENTICATED' THEN 'unauthenticated'
    WHEN http_status = 403 OR status = 'PERMISSION_DENIED' THEN 'permission denied'
    ELSE 'failed'
  END AS outcome,
  TIMESTAMP_DIFF(
    as_of, MAX(IF(http_status BETWEEN 200 AND 299, attempt_ts, NULL)) OVER (PARTITION BY job_name), SECOND
  ) / 60 AS minutes_since_success,
  ROW_NUMBER() OVER (PARTITION BY job_name ORDER BY attempt_ts DESC) = 1 AS is_latest,
  COALESCE(
    TIMESTAMP_DIFF(
      as_of, MAX(IF(http_status BETWEEN 200 AND 299, attempt_ts, NULL)) OVER (PARTITION BY job_name), SECOND
    ) > 60 * max_silence_minutes,
    TRUE
  ) AS success_overdue,
  TIMESTAMP_ADD(
    MAX(IF(http_status BETWEEN 200 AND 299, attempt_ts, NULL)) OVER (PARTITION BY job_name),
    INTERVAL 60 * max_silence_minutes + 1 SECOND
  ) AS overdue_at
FROM (
  SELECT
    e.job_name,
    e.max_silence_minutes,
    x.timestamp AS attempt_ts,
    x.httpRequest.status AS http_status,
    x.jsonpayload_logging_attemptfinished.status AS status,
    x.jsonpayload_logging_attemptfinished.debuginfo AS debug_info
  FROM
    UNNEST([
      {% for service in services %}
      STRUCT('{{ service.job }}' AS job_name, {{ service.max_silence_minutes }} AS max_silence_minutes){{ "," if not loop.last }}
      {% endfor %}
    ]) AS e
  LEFT JOIN `{{ project }}.{{ monitor_dataset }}.cloudscheduler_googleapis_com_executions` AS x
    ON
      e.job_name = x.resource.labels.job_id
      AND x.jsonpayload_logging_attemptfinished IS NOT NULL
      AND x.timestamp >= TIMESTAMP_SUB(as_of, INTERVAL 24 HOUR)
      AND x.timestamp <= as_of
);

CREATE OR REPLACE VIEW `{{ project }}.{{ monitor_dataset }}.scheduler_execution_v`
OPTIONS (description = 'Attempts of the expected Cloud Scheduler jobs in 24 hours.') AS
SELECT
  job_name, attempt_ts, http_status, status, debug_info, outcome, minutes_since_success, is_latest, success_overdue,
  overdue_at
FROM `{{ project }}.{{ monitor_dataset }}.scheduler_execution_at`(CURRENT_TIMESTAMP());
