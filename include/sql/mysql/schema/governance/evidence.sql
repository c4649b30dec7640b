-- Purpose: where the usage evidence arrives (schema rsp_datagovern) and what the push remembers about it.
-- Grain: named at each table.
-- Repeatable: CREATE TABLE IF NOT EXISTS changes nothing that is there. Times of the push are UTC; oper_ts is
-- business time (Asia/Shanghai), as CMA reports it.

-- One row per batch and metric: the batches of the last week, as they came from Hive.
CREATE TABLE IF NOT EXISTS rsp_datagovern.ads_evt_ops_status_ago (
  batch_id  VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'flow and window: evidence_batch',
  oper_type VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'CMA metric, or checkCount',
  oper_ts   DATETIME     NOT NULL COMMENT 'last minute with the metric, business time',
  eid       BIGINT       NOT NULL COMMENT 'count in the window; in the daily flow 1 or 0',
  PRIMARY KEY (batch_id, oper_type)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row per metric: everything the daily flow ever reported.
CREATE TABLE IF NOT EXISTS rsp_datagovern.ads_evt_ops_status (
  oper_type VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'CMA metric',
  oper_ts   DATETIME     NOT NULL COMMENT 'last minute with the metric, business time',
  eid       BIGINT       NOT NULL COMMENT 'sum over all consolidated batches',
  PRIMARY KEY (oper_type)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row per batch: what was pushed, and how far it came. state is published (committed here, Hive still full),
-- truncating (both sides proven equal, Hive may be half empty) or completed.
CREATE TABLE IF NOT EXISTS rsp_datagovern.evidence_batch (
  batch_id        VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  flow            VARCHAR(16)  NOT NULL COMMENT 'window, daily',
  window_start    DATE         NOT NULL COMMENT 'first day',
  window_end      DATE         NOT NULL COMMENT 'last day (included)',
  state           VARCHAR(16)  NOT NULL,
  row_count       BIGINT       NOT NULL,
  eid_sum         BIGINT       NOT NULL,
  checksum        BIGINT       NOT NULL COMMENT 'sum of the CRC-32 of every row, as in Hive',
  run_id          VARCHAR(250) NOT NULL,
  published_at    DATETIME(6)  NOT NULL,
  completed_at    DATETIME(6)  NULL,
  consolidated_at DATETIME(6)  NULL COMMENT 'added to ads_evt_ops_status',
  purged_at       DATETIME(6)  NULL COMMENT 'rows deleted from ads_evt_ops_status_ago by age',
  PRIMARY KEY (batch_id),
  KEY by_flow (flow, window_end)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row per decision of the truncate guard; never changed.
CREATE TABLE IF NOT EXISTS rsp_datagovern.evidence_guard_log (
  id              BIGINT       NOT NULL AUTO_INCREMENT,
  decided_at      DATETIME(6)  NOT NULL,
  batch_id        VARCHAR(64)  NOT NULL,
  run_id          VARCHAR(250) NOT NULL,
  stage           VARCHAR(16)  NOT NULL COMMENT 'before, after',
  decision        VARCHAR(16)  NOT NULL COMMENT 'push, resume, truncate, refused',
  code            VARCHAR(32)  NOT NULL COMMENT 'reason of a refusal, or of an overruled one',
  message         TEXT         NOT NULL,
  overrule_reason VARCHAR(500) NULL COMMENT 'why an operator overruled a size limit',
  started_by      VARCHAR(128) NULL COMMENT 'who started the run by hand',
  PRIMARY KEY (id),
  KEY by_batch (batch_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row per evidence check of a run and flow: whether a window was complete, and what was wrong with it.
CREATE TABLE IF NOT EXISTS rsp_datagovern.evidence_check (
  run_id        VARCHAR(250) NOT NULL,
  flow          VARCHAR(16)  NOT NULL,
  checked_at    DATETIME(6)  NOT NULL,
  window_start  DATE         NOT NULL,
  window_end    DATE         NOT NULL,
  accepted      BOOLEAN      NOT NULL,
  days_present  INT          NOT NULL,
  raw_rows      BIGINT       NOT NULL,
  rejected_rows BIGINT       NOT NULL,
  expansion     DOUBLE       NULL COMMENT 'base_evt rows per EVT source row; NULL without source rows',
  findings      JSON         NOT NULL COMMENT 'what was found, by name of the check, with the days',
  PRIMARY KEY (run_id, flow)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row per day of the last check: minutes with telemetry, for reports that judge a window of their own.
CREATE TABLE IF NOT EXISTS rsp_datagovern.evidence_day (
  flow          VARCHAR(16) NOT NULL,
  pt_dt         DATE        NOT NULL,
  minutes       INT         NOT NULL,
  metrics       BIGINT      NOT NULL,
  raw_rows      BIGINT      NOT NULL,
  rejected_rows BIGINT      NOT NULL,
  PRIMARY KEY (flow, pt_dt)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
