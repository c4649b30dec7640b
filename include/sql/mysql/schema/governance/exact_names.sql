-- Purpose: names are equal only when all their characters are. The character set's own collation, which is another one
--          on each server, takes José for jose: two owners, batches or tickets would be one row.
-- Grain: the whole table; no two rows can become equal by it.
-- Repeatable: a table that has the collation keeps it.
ALTER TABLE points_lifecycle.batch CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE points_lifecycle.candidate CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE points_lifecycle.plan CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE points_lifecycle.batch_row CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE points_lifecycle.structure CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE points_lifecycle.backup CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE points_lifecycle.observation CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE points_lifecycle.notice CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE points_lifecycle.cleanup_ticket CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE points_lifecycle.cleanup_point CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE points_lifecycle.cleanup_scan CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE points_lifecycle.cleanup_count CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE points_lifecycle.cleanup_memory CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE points_lifecycle.cleanup_sample CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE points_lifecycle.cleanup_living CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE governance_audit.audit CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE governance_audit.approval_v1 CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE rsp_datagovern.evidence_guard_log CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE rsp_datagovern.evidence_check CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE rsp_datagovern.evidence_day CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
