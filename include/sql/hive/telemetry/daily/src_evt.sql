-- Purpose: the legacy feed as an external table: JSON lines that CMA's stream job writes to one folder a day. Nothing is
--          ever written there: ADD PARTITION creates the folder that it is given when there is none, so it is given the
--          root, which there is; SET LOCATION creates nothing. (USE: Hive 2.3 looks for the table of a SET LOCATION in
--          the current database, whatever its name says.)
-- Grain: one row per line.
-- Parameters: pt_year, pt_month, pt_day (as in the folder names); root (the feed's folder), location (the
--             day's folder below it).
-- Repeatable: IF NOT EXISTS, and the same location; the data belongs to CMA and is never changed here.
CREATE EXTERNAL TABLE IF NOT EXISTS cma.src_evt (line STRING COMMENT 'one JSON object')
COMMENT 'CMA feed, day by day'
PARTITIONED BY (pt_year STRING, pt_month STRING, pt_day STRING)
STORED AS TEXTFILE
LOCATION %(root)s
TBLPROPERTIES ('external.table.purge' = 'false');

ALTER TABLE cma.src_evt ADD IF NOT EXISTS
PARTITION (pt_year = %(pt_year)s, pt_month = %(pt_month)s, pt_day = %(pt_day)s)
LOCATION %(root)s;

USE cma;

ALTER TABLE src_evt
PARTITION (pt_year = %(pt_year)s, pt_month = %(pt_month)s, pt_day = %(pt_day)s)
SET LOCATION %(location)s;
