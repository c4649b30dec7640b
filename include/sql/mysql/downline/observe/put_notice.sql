-- Purpose: record that an owner was notified; committed after each mail, so a crash repeats one mail at most.
-- Grain: one row an owner and notice.
-- Parameters: every column by name.
-- Repeatable: the same notice updates its own row.
INSERT INTO points_lifecycle.notice (batch_id, days_before, owner, points, sent_at)
VALUES (%(batch_id)s, %(days_before)s, %(owner)s, %(points)s, %(sent_at)s)
ON DUPLICATE KEY UPDATE points = VALUES(points), sent_at = VALUES(sent_at)
