-- Purpose: the newest result of each identity check, also when it is old.
-- Grain: one row a service and check with a result.
-- Parameters: @since, @now (TIMESTAMP): older results are not read, nor those that a clock ahead has stamped.
SELECT
  service,
  check_number,
  check_name,
  checked_at,
  status,
  findings,
  run_id
FROM `{{ project }}.{{ monitor_dataset }}.identity_check_log`
WHERE checked_at >= @since AND checked_at <= LEAST(@now, CURRENT_TIMESTAMP())
QUALIFY ROW_NUMBER() OVER (PARTITION BY service, check_number ORDER BY checked_at DESC) = 1
ORDER BY service, check_number;
