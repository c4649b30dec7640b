-- Purpose: list the days that have draws or features, from the hourly counts.
-- Grain: one row a UTC day, oldest first.
-- Parameters: @earliest (TIMESTAMP) older than any draw.
SELECT TIMESTAMP_TRUNC(hour_utc, DAY) AS day
FROM `{{ project }}.{{ target_dataset }}.draws_hourly_mv`
WHERE hour_utc >= @earliest
UNION DISTINCT
SELECT TIMESTAMP_TRUNC(hour_utc, DAY) AS day
FROM `{{ project }}.{{ target_dataset }}.draws_14w_hourly_mv`
WHERE hour_utc >= @earliest
ORDER BY day
