-- Purpose: take back the end of batches that were closed with a ticket in the DBA's hands, or withdrawn from them by a halt
--          since: they are cleaned when it is done. A closed batch is never due, so that a halt took the ticket back for
--          ever. A ticket that was withdrawn before the end, e.g. with its points, was rightly left.
-- Grain: one row a batch.
-- Repeatable: a batch that is not closed stays as it is; one that has nothing left to do is closed again by the next run.
UPDATE points_lifecycle.batch AS b
SET b.state = 'cleaning'
WHERE b.state = 'cleaned' AND EXISTS (
  SELECT 1
  FROM points_lifecycle.cleanup_ticket AS t
  LEFT JOIN governance_audit.audit AS halt
    ON halt.batch_id = t.batch_id AND halt.event = 'dba_tickets_withdrawn'
      AND JSON_CONTAINS(halt.detail, JSON_QUOTE(t.ticket_id), '$.tickets')
  WHERE t.batch_id = b.batch_id AND t.executor = 'dba' AND (
    t.state = 'handed_over' OR (
      t.state = 'withdrawn' AND halt.audit_id > (
        SELECT COALESCE(MAX(closing.audit_id), 0)
        FROM governance_audit.audit AS closing
        WHERE closing.batch_id = t.batch_id AND closing.event = 'cleanup_reported'
          AND JSON_CONTAINS(closing.detail, 'true', '$.closed')
      )
    )
  )
)
