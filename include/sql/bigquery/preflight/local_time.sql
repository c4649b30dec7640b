-- Purpose: an instant as BigQuery's zone data tell it. It reads no table.
-- Grain: one row.
-- Parameters: @moment (TIMESTAMP), @zone (STRING).
SELECT FORMAT_TIMESTAMP('%F %T', @moment, @zone) AS local_time;
