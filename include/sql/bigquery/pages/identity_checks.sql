-- Purpose: the newest result of each identity check, also when it is old.
-- Grain: one row a service and check with a result.
-- Parameters: @since (TIMESTAMP): older results are not read.
SELECT
  service,
  check_number,
  check_name,
  checked_at,
  status,
  findings,
  run_id
FROM `{{ project }}.{{ monitor_dataset }}.identity_check_log`
WHERE checked_at >= @since
QUALIFY ROW_NUMBER() OVER (PARTITION BY service, check_number ORDER BY checked_at DESC) = 1
ORDER BY service, check_number;
