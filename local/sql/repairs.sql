-- Purpose: what became of draws that went missing during the demo.
-- Grain: one row: draws repaired and seconds from detection to repair.
-- Parameters: @since (TIMESTAMP) the start of the demo; @periods (ARRAY<INT64>) the draws that were lost.
SELECT
  COUNT(DISTINCT period) AS draws,
  APPROX_QUANTILES(repair_seconds, 100)[OFFSET(95)] AS mttr_p95_s
FROM `{{ project }}.{{ monitor_dataset }}.repair_log`
WHERE detected_at >= @since AND status = 'repaired' AND period IN UNNEST(@periods)
