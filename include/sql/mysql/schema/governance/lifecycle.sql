-- Purpose: what the points lifecycle remembers, from candidate to cleanup (governance server, schema points_lifecycle).
-- Grain: one statement a table; each table's own grain stands above it.
-- Repeatable: CREATE TABLE IF NOT EXISTS changes nothing that is there. All times are UTC.

-- One row a batch: the candidates of one usage report and what became of them.
CREATE TABLE IF NOT EXISTS points_lifecycle.batch (
  batch_id         VARCHAR(40)  NOT NULL,
  environment      VARCHAR(16)  NOT NULL COMMENT 'whose definitions the report read',
  window_start     DATE         NOT NULL,
  window_end       DATE         NOT NULL,
  candidates       INT          NOT NULL,
  candidate_digest CHAR(64)     NOT NULL,
  state            VARCHAR(16)  NOT NULL COMMENT 'reported, confirmed, downlined, cleaned',
  confirmed_by     VARCHAR(128) NULL COMMENT 'who started the run that read the confirmed workbook',
  created_at       DATETIME(6)  NOT NULL,
  observe_from     DATETIME(6)  NULL COMMENT 'when the last environment was downlined',
  observe_until    DATETIME(6)  NULL COMMENT 'cleanup may start after this',
  halted_at        DATETIME(6)  NULL COMMENT 'set by observation; no cleanup while set',
  halted_reason    TEXT         NULL,
  PRIMARY KEY (batch_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row a candidate of a batch. evidence is the JSON list of the workbook's evidence cells.
CREATE TABLE IF NOT EXISTS points_lifecycle.candidate (
  batch_id    VARCHAR(40)  NOT NULL,
  point_id    BIGINT       NOT NULL,
  class       VARCHAR(16)  NOT NULL COMMENT 'read_only, write_only, unused',
  cluster     VARCHAR(64)  NOT NULL,
  owner       VARCHAR(255) NOT NULL COMMENT 'empty: nobody',
  row_digest  CHAR(64)     NOT NULL,
  evidence    JSON         NOT NULL,
  decision    VARCHAR(16)  NULL COMMENT 'downline, keep; NULL until the workbook was read',
  reviewer    VARCHAR(255) NULL,
  remark      TEXT         NULL,
  decided_at  DATETIME(6)  NULL COMMENT 'when the confirmed workbook was read',
  PRIMARY KEY (batch_id, point_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row a plan that was made: what was shown to the approvers.
CREATE TABLE IF NOT EXISTS points_lifecycle.plan (
  batch_id    VARCHAR(40) NOT NULL,
  environment VARCHAR(16) NOT NULL,
  action      VARCHAR(16) NOT NULL COMMENT 'downline, restore',
  digest      CHAR(64)    NOT NULL,
  row_count   INT         NOT NULL,
  counts      JSON        NOT NULL COMMENT 'points and tags: total, by cluster, by table',
  differences JSON        NOT NULL COMMENT 'rows that are not planned, or differ, with the reason',
  made_at     DATETIME(6) NOT NULL,
  PRIMARY KEY (batch_id, environment, action, digest)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row a row of define_nosdata_* or define_nostag_* that a batch plans to change, with its old status.
CREATE TABLE IF NOT EXISTS points_lifecycle.batch_row (
  batch_id         VARCHAR(40) NOT NULL,
  environment      VARCHAR(16) NOT NULL,
  table_name       VARCHAR(64) NOT NULL,
  row_id           BIGINT      NOT NULL COMMENT 'the point''s or the tag''s id',
  identity         CHAR(64)    NOT NULL COMMENT 'SHA-256 over every column but status and last_modify_time',
  ordinal          INT         NOT NULL COMMENT 'tells rows apart that are equal in everything else',
  kind             VARCHAR(8)  NOT NULL COMMENT 'point, tag',
  cluster          VARCHAR(64) NOT NULL COMMENT 'empty for tags',
  old_status       INT         NOT NULL,
  last_modify_time VARCHAR(32) NOT NULL COMMENT 'before the downline, as text in UTC; empty: NULL',
  state            VARCHAR(16) NOT NULL COMMENT 'planned, removed, downlined, restored',
  reason           TEXT        NULL COMMENT 'why it was removed',
  changed_at       DATETIME(6) NOT NULL,
  PRIMARY KEY (batch_id, environment, table_name, row_id, identity, old_status, ordinal),
  KEY by_state (state, environment)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row a point: its storage structure, asked of NOS before its status changed.
CREATE TABLE IF NOT EXISTS points_lifecycle.structure (
  batch_id       VARCHAR(40)  NOT NULL,
  point_id       BIGINT       NOT NULL,
  cluster        VARCHAR(64)  NOT NULL,
  data_type      VARCHAR(16)  NOT NULL COMMENT 'string, hash, set, zset, list',
  key_template   VARCHAR(512) NOT NULL COMMENT 'variable parts in braces: evt:{user}:1024',
  field_template VARCHAR(512) NULL COMMENT 'hashes only; NULL: the whole key is the point''s',
  asked_at       DATETIME(6)  NOT NULL,
  PRIMARY KEY (batch_id, point_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row a table of a batch that was backed up and restored once into a scratch schema to prove it.
CREATE TABLE IF NOT EXISTS points_lifecycle.backup (
  batch_id     VARCHAR(40)  NOT NULL,
  environment  VARCHAR(16)  NOT NULL,
  table_name   VARCHAR(64)  NOT NULL,
  backup_table VARCHAR(129) NOT NULL COMMENT 'schema.table on the environment''s own server',
  row_count    BIGINT       NOT NULL,
  checksum     VARCHAR(80)  NOT NULL,
  proven_at    DATETIME(6)  NOT NULL,
  PRIMARY KEY (batch_id, environment, table_name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row an answer that a human gave; it holds for one plan digest in one DAG run.
CREATE TABLE IF NOT EXISTS points_lifecycle.approval (
  approval_id  BIGINT       NOT NULL AUTO_INCREMENT,
  batch_id     VARCHAR(40)  NOT NULL,
  environment  VARCHAR(16)  NOT NULL,
  action       VARCHAR(16)  NOT NULL COMMENT 'downline, restore, cleanup',
  digest       CHAR(64)     NOT NULL,
  role         VARCHAR(16)  NOT NULL COMMENT 'countersign, execute',
  decision     VARCHAR(16)  NOT NULL COMMENT 'approved, rejected, refused',
  responder    VARCHAR(128) NULL COMMENT 'NULL: nobody answered in time',
  requester    VARCHAR(128) NULL,
  reason       TEXT         NULL COMMENT 'why an answer was refused',
  dag_id       VARCHAR(200) NOT NULL,
  run_id       VARCHAR(250) NOT NULL,
  task_id      VARCHAR(200) NOT NULL,
  responded_at DATETIME(6)  NULL,
  recorded_at  DATETIME(6)  NOT NULL,
  PRIMARY KEY (approval_id),
  -- An answer counts once: a task that is resumed with the same answer again is refused.
  UNIQUE KEY once (dag_id, run_id, task_id, responded_at),
  KEY by_batch (batch_id, environment, action, digest)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row an event of a batch: who did what and when. Rows are only ever added.
CREATE TABLE IF NOT EXISTS points_lifecycle.audit (
  audit_id    BIGINT       NOT NULL AUTO_INCREMENT,
  batch_id    VARCHAR(40)  NOT NULL,
  environment VARCHAR(16)  NOT NULL COMMENT 'empty: the batch as a whole',
  event       VARCHAR(32)  NOT NULL,
  actor       VARCHAR(128) NOT NULL,
  detail      JSON         NOT NULL,
  happened_at DATETIME(6)  NOT NULL,
  PRIMARY KEY (audit_id),
  KEY by_batch (batch_id, audit_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row a sign of life of a downlined point, found while observing.
CREATE TABLE IF NOT EXISTS points_lifecycle.observation (
  batch_id    VARCHAR(40)  NOT NULL,
  kind        VARCHAR(8)   NOT NULL COMMENT 'use, error',
  oper_type   VARCHAR(128) NOT NULL,
  point_id    BIGINT       NOT NULL,
  last_seen   DATETIME(6)  NOT NULL,
  seen_count  BIGINT       NOT NULL,
  observed_at DATETIME(6)  NOT NULL,
  PRIMARY KEY (batch_id, kind, oper_type, point_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row a notice that was sent to an owner ahead of the cleanup.
CREATE TABLE IF NOT EXISTS points_lifecycle.notice (
  batch_id    VARCHAR(40)  NOT NULL,
  days_before INT          NOT NULL,
  owner       VARCHAR(255) NOT NULL COMMENT 'empty: the team''s own list of points without an owner',
  points      INT          NOT NULL,
  sent_at     DATETIME(6)  NOT NULL,
  PRIMARY KEY (batch_id, days_before, owner)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
