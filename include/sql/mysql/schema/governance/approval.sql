-- Purpose: every question, answer and use of an approval (schema governance_audit).
-- Grain: one row an event. Rows are only ever added: the user of the run time may SELECT and INSERT here, nothing else.
-- Repeatable: CREATE TABLE IF NOT EXISTS changes nothing that is there. All times are UTC.
CREATE TABLE IF NOT EXISTS governance_audit.approval (
  approval_id     BIGINT       NOT NULL AUTO_INCREMENT,
  kind            VARCHAR(16)  NOT NULL COMMENT 'asked, approved, rejected, refused, unanswered, started, finished',
  action          VARCHAR(32)  NOT NULL COMMENT 'downline, restore, release, cleanup, identity_repair, history_cut_over',
  subject         VARCHAR(255) NOT NULL COMMENT 'batch/environment, ticket, service, side',
  digest          CHAR(64)     NOT NULL COMMENT 'of the plan',
  question_digest CHAR(64)     NOT NULL COMMENT 'of all that was asked: plan, text, requester, approvers, run',
  role            VARCHAR(16)  NOT NULL COMMENT 'countersign, execute',
  dag_id          VARCHAR(250) NOT NULL,
  run_id          VARCHAR(250) NOT NULL,
  task_id         VARCHAR(250) NOT NULL,
  map_index       INT          NOT NULL,
  run_started_at  DATETIME(6)  NOT NULL COMMENT 'which incarnation of the run: a run id can be used again, this cannot',
  requester       VARCHAR(255) NOT NULL,
  approvers       JSON         NOT NULL COMMENT 'who may answer',
  title           VARCHAR(512) NULL COMMENT 'on asked: the headline shown',
  body            MEDIUMTEXT   NULL COMMENT 'on asked: the text shown',
  responder       VARCHAR(255) NULL COMMENT 'NULL: nobody answered in time',
  responder_id    VARCHAR(255) NULL,
  reason          TEXT         NULL COMMENT 'why an answer was refused',
  responded_at    DATETIME(6)  NULL,
  expires_at      DATETIME(6)  NULL COMMENT 'on approved: it may not be used after this',
  approved_id     BIGINT       NULL COMMENT 'on started and finished: the approval that is used',
  recorded_at     DATETIME(6)  NOT NULL,
  PRIMARY KEY (approval_id),
  -- An answer counts once, and an approval is used once.
  UNIQUE KEY answer_once (question_digest, responded_at),
  UNIQUE KEY use_once (approved_id, kind),
  KEY by_run (dag_id, run_id),
  KEY by_subject (action, subject)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
