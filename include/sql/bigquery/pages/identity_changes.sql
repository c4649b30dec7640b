-- Purpose: who changed accounts, grants, services and jobs lately.
-- Grain: one row a logged change, newest first.
-- Parameters: @most (INT64): rows at most.
SELECT
  changed_at,
  principal,
  api,
  method,
  resource_name,
  code
FROM `{{ project }}.{{ monitor_dataset }}.identity_change_v`
ORDER BY changed_at DESC
LIMIT @most;
