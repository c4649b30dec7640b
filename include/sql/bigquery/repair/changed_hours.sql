-- Purpose: which hours of draws got versions since the last complete reconcile, however old the draws are.
-- Grain: one row an hour.
-- Parameters: @since (TIMESTAMP) when the versions were collected; @earliest (TIMESTAMP) older than any draw.
SELECT hour_utc
FROM `{{ project }}.{{ source_dataset }}.draw_versions_hourly_mv`
WHERE hour_utc >= @earliest AND last_ingested_at >= @since
ORDER BY hour_utc
