-- Purpose: the newest result of every identity check. A check that was not made for 15 minutes is not passed.
-- Grain: one row an expected service and check (seven a service), with or without results.
-- Parameters: none; judged now. Results after now are of a clock that was ahead, and left out.
CREATE OR REPLACE VIEW `{{ project }}.{{ monitor_dataset }}.identity_status_v`
OPTIONS (description = 'Newest identity check results of the expected services.') AS
SELECT
  e.service_name,
  wanted_number AS check_number,
  CONCAT(e.service_name, '/', CAST(wanted_number AS STRING)) AS subject,
  newest.checked_at,
  COALESCE(newest.status, 'missing') AS status,
  newest.findings
FROM
  UNNEST([
    {% for service in services %}
    STRUCT('{{ service.name }}' AS service_name){{ "," if not loop.last }}
    {% endfor %}
  ]) AS e
CROSS JOIN UNNEST([1, 2, 3, 4, 5, 6, 7]) AS wanted_number
LEFT JOIN (
  SELECT
    service,
    check_number,
    checked_at,
    status,
    findings
  FROM `{{ project }}.{{ monitor_dataset }}.identity_check_log`
  WHERE
    checked_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 15 MINUTE)
    AND checked_at <= CURRENT_TIMESTAMP()
  QUALIFY ROW_NUMBER() OVER (PARTITION BY service, check_number ORDER BY checked_at DESC) = 1
) AS newest
  ON e.service_name = newest.service AND wanted_number = newest.check_number;
