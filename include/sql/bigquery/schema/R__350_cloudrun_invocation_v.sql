-- Purpose: what the services answered. Health calls are left out: they say nothing of the work.
-- Grain: one row an expected service and request of the last 24 hours; a service without requests has one of NULLs.
-- Parameters: the function takes the time of judgement; the view judges now.
-- The expected services are those of include/config/services.yaml, as the schema was applied.

CREATE OR REPLACE TABLE FUNCTION `{{ project }}.{{ monitor_dataset }}.cloudrun_invocation_at`(as_of TIMESTAMP) AS
SELECT
  service_name,
  request_ts,
  path,
  status,
  latency,
  request_second - LAG(request_second) OVER (PARTITION BY service_name ORDER BY request_second) AS interval_seconds,
  IF(
    request_ts IS NULL,
    0,
    COUNT(*) OVER (PARTITION BY service_name ORDER BY request_second RANGE BETWEEN 299 PRECEDING AND CURRENT ROW)
  ) AS requests_last_5min,
  ROW_NUMBER() OVER (PARTITION BY service_name ORDER BY request_second DESC) = 1 AS is_latest,
  -- Errors do not end because nobody calls any more: those after the last good answer count for as long.
  SUM(
    IF(
      status >= 500
      AND request_ts > LEAST(TIMESTAMP_SUB(as_of, INTERVAL 15 MINUTE), COALESCE(last_good_ts, TIMESTAMP_SECONDS(0))),
      1,
      0
    )
  ) OVER (PARTITION BY service_name) AS errors_last_15min
FROM (
  SELECT
    e.service_name,
    MAX(IF(r.httpRequest.status < 500, r.timestamp, NULL)) OVER (PARTITION BY e.service_name) AS last_good_ts,
    r.timestamp AS request_ts,
    UNIX_SECONDS(r.timestamp) AS request_second,
    REGEXP_EXTRACT(r.httpRequest.requestUrl, r'^https?://[^/]+(/[^?]*)') AS path,
    r.httpRequest.status AS status,
    r.httpRequest.latency AS latency
  FROM
    UNNEST([
      {% for service in services %}
      STRUCT('{{ service.name }}' AS service_name){{ "," if not loop.last }}
      {% endfor %}
    ]) AS e
  LEFT JOIN `{{ project }}.{{ monitor_dataset }}.run_googleapis_com_requests` AS r
    ON
      e.service_name = r.resource.labels.service_name
      AND NOT REGEXP_CONTAINS(r.httpRequest.requestUrl, r'/health([/?]|$)')
      AND r.timestamp >= TIMESTAMP_SUB(as_of, INTERVAL 24 HOUR)
      AND r.timestamp <= as_of
);

CREATE OR REPLACE VIEW `{{ project }}.{{ monitor_dataset }}.cloudrun_invocation_v`
OPTIONS (description = 'Requests to the expected Cloud Run services in 24 hours, health calls left out.') AS
SELECT
  service_name, request_ts, path, status, latency, interval_seconds, requests_last_5min, is_latest, errors_last_15min
FROM `{{ project }}.{{ monitor_dataset }}.cloudrun_invocation_at`(CURRENT_TIMESTAMP());
