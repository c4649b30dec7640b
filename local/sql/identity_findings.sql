-- Purpose: what one run of the identity checks found about a service.
-- Grain: one row a check.
-- Parameters: @run_id, @service, @since (TIMESTAMP): older results are not read.
SELECT
  check_number,
  check_name,
  status,
  findings
FROM `{{ project }}.{{ monitor_dataset }}.identity_check_log`
WHERE checked_at >= @since AND run_id = @run_id AND service = @service
ORDER BY check_number;
