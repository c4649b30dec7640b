-- Purpose: an instant as the server's zone data tell it; NULL where it has none.
-- Grain: one row.
-- Parameters: moment (UTC), zone.
SELECT CONVERT_TZ(%(moment)s, '+00:00', %(zone)s) AS local_time
