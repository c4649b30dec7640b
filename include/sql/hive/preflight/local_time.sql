-- Purpose: an instant as the engine's zone data tell it.
-- Grain: one row.
-- Parameters: moment (UTC, yyyy-MM-dd HH:mm:ss), zone.
SELECT CAST(from_utc_timestamp(%(moment)s, %(zone)s) AS STRING) AS local_time
