-- Purpose: the journal of changed rows. It lives on the environment's own server, so that a row's journal entry and
--          its UPDATE commit together or not at all: after any kill it says exactly what was changed.
-- Grain: one row a changed row of a batch.
-- Parameters: backup_schema (identifier).
-- Repeatable: CREATE TABLE IF NOT EXISTS changes nothing that is there.
CREATE TABLE IF NOT EXISTS `{{ backup_schema }}`.points_journal (
  batch_id         VARCHAR(40)  NOT NULL,
  environment      VARCHAR(16)  NOT NULL,
  table_name       VARCHAR(64)  NOT NULL,
  row_id           BIGINT       NOT NULL,
  identity         CHAR(64)     NOT NULL,
  old_status       INT          NOT NULL,
  ordinal          INT          NOT NULL,
  kind             VARCHAR(8)   NOT NULL,
  cluster          VARCHAR(64)  NOT NULL,
  last_modify_time VARCHAR(32)  NOT NULL,
  state            VARCHAR(16)  NOT NULL COMMENT 'downlined, restored',
  digest           CHAR(64)     NOT NULL COMMENT 'the approved plan',
  changed_at       DATETIME(6)  NOT NULL,
  restore_digest   CHAR(64)     NULL COMMENT 'the approved restore',
  restored_at      DATETIME(6)  NULL,
  PRIMARY KEY (batch_id, environment, table_name, row_id, identity, old_status, ordinal)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
