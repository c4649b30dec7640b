-- Purpose: which server a connection leads to, how it is set, and what time it is there.
-- Grain: one row.
SELECT
  VERSION() AS version,
  @@hostname AS host_name,
  @@port AS port_number,
  DATABASE() AS schema_name,
  CURRENT_USER() AS user_name,
  @@character_set_server AS character_set,
  @@local_infile AS local_infile,
  @@read_only AS read_only,
  @@explicit_defaults_for_timestamp AS explicit_defaults_for_timestamp,
  @@session.time_zone AS session_time_zone,
  UTC_TIMESTAMP() AS utc_now,
  NOW() AS session_now
