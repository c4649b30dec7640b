-- Purpose: is a service's identity whole: one line a service, so that one cause that fails three checks is one alert.
-- Grain: one row an expected service.
-- Parameters: none; judged now.
CREATE OR REPLACE VIEW `{{ project }}.{{ monitor_dataset }}.identity_service_v`
OPTIONS (description = 'How many identity checks of each expected service fail, or were not made.') AS
SELECT
  service_name,
  COUNTIF(status NOT IN ('pass', 'warn')) AS failing_checks,
  COUNTIF(status = 'missing') AS missing_checks,
  MIN(checked_at) AS checked_at
FROM `{{ project }}.{{ monitor_dataset }}.identity_status_v`
GROUP BY service_name;
