-- Purpose: the legacy feed as an external table: JSON lines that CMA's stream job writes to one folder a day.
-- Grain: one row per line.
-- Parameters: pt_year, pt_month, pt_day (as in the folder names); root (the feed's folder), location (the
--             day's folder below it).
-- Why it can be re-run: IF NOT EXISTS; the data belongs to CMA and is never changed here.
CREATE EXTERNAL TABLE IF NOT EXISTS cma.src_evt (line STRING COMMENT 'one JSON object')
COMMENT 'CMA feed, day by day'
PARTITIONED BY (pt_year STRING, pt_month STRING, pt_day STRING)
STORED AS TEXTFILE
LOCATION %(root)s;

ALTER TABLE cma.src_evt ADD IF NOT EXISTS
PARTITION (pt_year = %(pt_year)s, pt_month = %(pt_month)s, pt_day = %(pt_day)s)
LOCATION %(location)s;
