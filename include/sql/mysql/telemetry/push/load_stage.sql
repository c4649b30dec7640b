-- Purpose: take the lines of a batch as they stream in.
-- Grain: metric.
-- Parameters: path (a named pipe that is being written).
-- Repeatable: the staging table is new in each session.
LOAD DATA LOCAL INFILE %(path)s INTO TABLE evidence_stage
CHARACTER SET utf8mb4
FIELDS TERMINATED BY '\t' ESCAPED BY ''
LINES TERMINATED BY '\n'
(oper_type, oper_ts, eid)
