-- Purpose: keep a ticket, or bring an unfinished one up to date.
-- Grain: one row a ticket.
-- Parameters: every column by name.
-- Repeatable: the same ticket gives the same row; a ticket that is done stays as it was executed. With another digest, or
--          after it was withdrawn, it is swept again from the first scan on, under numbers of passes that no scan has yet:
--          what scans saw says nothing of other points, nor of what was written while its points were served.
INSERT INTO points_lifecycle.cleanup_ticket (
  ticket_id, batch_id, cluster, class, executor, digest, points, instances, estimated_keys, estimated_bytes,
  state, made_at
) VALUES (
  %(ticket_id)s, %(batch_id)s, %(cluster)s, %(class)s, %(executor)s, %(digest)s, %(points)s, %(instances)s,
  %(estimated_keys)s, %(estimated_bytes)s, %(state)s, %(made_at)s
)
ON DUPLICATE KEY UPDATE
  made_at = IF(state = 'done', made_at, VALUES(made_at)),
  points = IF(state = 'done', points, VALUES(points)),
  instances = IF(state = 'done', instances, VALUES(instances)),
  estimated_keys = IF(state = 'done', estimated_keys, VALUES(estimated_keys)),
  estimated_bytes = IF(state = 'done', estimated_bytes, VALUES(estimated_bytes)),
  passes = IF(state = 'done' OR (digest = VALUES(digest) AND state <> 'withdrawn'), passes, GREATEST(passes, (
    SELECT COALESCE(MAX(s.pass_number), 0) FROM points_lifecycle.cleanup_scan s WHERE s.ticket_id = %(ticket_id)s
  ))),
  digest = IF(state = 'done', digest, VALUES(digest)),
  state = IF(state IN ('done', 'running', 'incomplete'), state, VALUES(state))
