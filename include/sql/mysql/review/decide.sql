-- Purpose: keep the decisions of the confirmed workbook.
-- Grain: one row a candidate.
-- Parameters: batch_id, point_id, decision, reviewer, remark, decided_at.
-- Repeatable: the same workbook gives the same decisions.
UPDATE points_lifecycle.candidate
SET decision = %(decision)s, reviewer = %(reviewer)s, remark = %(remark)s, decided_at = %(decided_at)s
WHERE batch_id = %(batch_id)s AND point_id = %(point_id)s
