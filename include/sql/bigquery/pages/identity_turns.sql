-- Purpose: when an identity check began to fail, and when it passed again.
-- Grain: one row a result that differs from the one before it, newest first.
-- Parameters: @since (TIMESTAMP): older results are not read. @most (INT64): rows at most.
SELECT
  service,
  check_number,
  checked_at,
  status,
  status_before,
  findings
FROM (
  SELECT
    service,
    check_number,
    checked_at,
    status,
    findings,
    LAG(status) OVER (PARTITION BY service, check_number ORDER BY checked_at) AS status_before
  FROM `{{ project }}.{{ monitor_dataset }}.identity_check_log`
  WHERE checked_at >= @since
)
WHERE status_before != status
ORDER BY checked_at DESC, service, check_number
LIMIT @most;
