-- Purpose: the days with telemetry that each pushed batch was built from. A batch covers nothing else: a day that is
--          missing here is no day without use.
-- Grain: one row a batch and day.
-- Repeatable: CREATE TABLE IF NOT EXISTS; batches from before this table get the days that were recorded for them.
CREATE TABLE IF NOT EXISTS rsp_datagovern.evidence_batch_day (
  batch_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  pt_dt    DATE        NOT NULL,
  minutes  INT         NOT NULL COMMENT 'distinct minutes with telemetry',
  PRIMARY KEY (batch_id, pt_dt)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

INSERT IGNORE INTO rsp_datagovern.evidence_batch_day (batch_id, pt_dt, minutes)
SELECT b.batch_id, d.pt_dt, d.minutes
FROM rsp_datagovern.evidence_batch AS b
JOIN rsp_datagovern.evidence_day AS d ON d.flow = b.flow AND d.pt_dt BETWEEN b.window_start AND b.window_end
WHERE b.purged_at IS NULL;
