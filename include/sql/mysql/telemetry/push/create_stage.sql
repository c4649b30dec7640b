-- Purpose: the staging table of one push. Temporary: it belongs to the session, is not logged, and disappears with a
--          killed process. Creating a temporary table does not commit a transaction.
-- Grain: metric; no key, so that rows can arrive in any order.
-- Repeatable: each session has its own.
CREATE TEMPORARY TABLE evidence_stage (
  oper_type VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  oper_ts   DATETIME     NOT NULL,
  eid       BIGINT       NOT NULL
) ENGINE = InnoDB
