-- Purpose: what cleanup remembers: tickets, progress of the sweeps, counts and samples (governance server).
-- Grain: one statement a table; each table's own grain stands above it.
-- Repeatable: CREATE TABLE IF NOT EXISTS changes nothing that is there. All times are UTC.

-- One row a ticket of a batch.
CREATE TABLE IF NOT EXISTS points_lifecycle.cleanup_ticket (
  ticket_id       VARCHAR(160) NOT NULL,
  batch_id        VARCHAR(40)  NOT NULL,
  cluster         VARCHAR(64)  NOT NULL,
  class           VARCHAR(32)  NOT NULL COMMENT 'name of the routing rule',
  executor        VARCHAR(8)   NOT NULL COMMENT 'own, dba',
  digest          CHAR(64)     NOT NULL COMMENT 'of everything that decides what is deleted',
  points          INT          NOT NULL,
  instances       JSON         NOT NULL,
  estimated_keys  BIGINT       NULL,
  estimated_bytes BIGINT       NULL,
  state           VARCHAR(16)  NOT NULL COMMENT 'open, handed_over, running, incomplete, done, withdrawn',
  passes          INT          NOT NULL DEFAULT 0 COMMENT 'completed passes',
  approved_by     VARCHAR(128) NULL,
  made_at         DATETIME(6)  NOT NULL,
  started_at      DATETIME(6)  NULL,
  finished_at     DATETIME(6)  NULL,
  PRIMARY KEY (ticket_id),
  KEY by_batch (batch_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row a point of a batch: the ticket it is on, or the reason why it is on none.
CREATE TABLE IF NOT EXISTS points_lifecycle.cleanup_point (
  batch_id        VARCHAR(40)  NOT NULL,
  point_id        BIGINT       NOT NULL,
  cluster         VARCHAR(64)  NOT NULL,
  ticket_id       VARCHAR(160) NULL,
  reason          TEXT         NULL,
  estimated_keys  BIGINT       NULL,
  estimated_bytes BIGINT       NULL,
  PRIMARY KEY (batch_id, point_id),
  KEY by_ticket (ticket_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row a pass over one master. A restarted master, or one whose slots changed, has a new identity and a new row.
CREATE TABLE IF NOT EXISTS points_lifecycle.cleanup_scan (
  ticket_id       VARCHAR(160)    NOT NULL,
  phase           VARCHAR(8)      NOT NULL COMMENT 'delete, confirm',
  pass_number     INT             NOT NULL,
  instance        VARCHAR(64)     NOT NULL,
  identity        CHAR(32)        NOT NULL,
  master          VARCHAR(128)    NOT NULL COMMENT 'host:port',
  cursor_position BIGINT UNSIGNED NOT NULL COMMENT 'SCAN cursor to go on from',
  done            BOOLEAN         NOT NULL,
  intent          LONGTEXT        NULL COMMENT 'JSON: [point id, key, field] about to be deleted, base64',
  updated_at      DATETIME(6)     NOT NULL,
  PRIMARY KEY (ticket_id, phase, pass_number, instance, identity)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row a point and pass over one master.
CREATE TABLE IF NOT EXISTS points_lifecycle.cleanup_count (
  ticket_id   VARCHAR(160) NOT NULL,
  phase       VARCHAR(8)   NOT NULL,
  pass_number INT          NOT NULL,
  instance    VARCHAR(64)  NOT NULL,
  identity    CHAR(32)     NOT NULL,
  point_id    BIGINT       NOT NULL,
  found       BIGINT       NOT NULL COMMENT 'keys or fields that match and have the expected type',
  deleted     BIGINT       NOT NULL,
  wrong_type  BIGINT       NOT NULL COMMENT 'keys of another type; never touched',
  PRIMARY KEY (ticket_id, phase, pass_number, instance, identity, point_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row an instance of a ticket: its memory before the first and after the last pass.
CREATE TABLE IF NOT EXISTS points_lifecycle.cleanup_memory (
  ticket_id    VARCHAR(160) NOT NULL,
  instance     VARCHAR(64)  NOT NULL,
  bytes_before BIGINT       NOT NULL,
  bytes_after  BIGINT       NULL,
  PRIMARY KEY (ticket_id, instance)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row a sample: a deleted key or field with its value, kept for a configured time.
CREATE TABLE IF NOT EXISTS points_lifecycle.cleanup_sample (
  sample_id  BIGINT       NOT NULL AUTO_INCREMENT,
  ticket_id  VARCHAR(160) NOT NULL,
  instance   VARCHAR(64)  NOT NULL,
  point_id   BIGINT       NOT NULL,
  redis_key  LONGBLOB     NOT NULL,
  field      LONGBLOB     NULL COMMENT 'NULL: the whole key',
  data_type  VARCHAR(16)  NOT NULL,
  ttl_ms     BIGINT       NULL,
  bytes      BIGINT       NOT NULL,
  value      LONGBLOB     NULL COMMENT 'DUMP payload of a key, value of a field; NULL: larger than what is kept',
  taken_at   DATETIME(6)  NOT NULL,
  keep_until DATETIME(6)  NOT NULL,
  PRIMARY KEY (sample_id),
  KEY by_ticket (ticket_id, instance, point_id),
  KEY by_expiry (keep_until)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- One row a served point: its storage structure as NOS described it, so that not every step asks for all of them.
CREATE TABLE IF NOT EXISTS points_lifecycle.cleanup_living (
  point_id       BIGINT       NOT NULL,
  cluster        VARCHAR(64)  NOT NULL,
  data_type      VARCHAR(16)  NOT NULL,
  key_template   VARCHAR(512) NOT NULL,
  field_template VARCHAR(512) NULL,
  asked_at       DATETIME(6)  NOT NULL,
  PRIMARY KEY (point_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
