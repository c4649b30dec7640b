-- Purpose: take back the end of batches that were closed with a ticket in the DBA's hands, or withdrawn from them: they
--          are cleaned when it is done. A closed batch is never due, so that a halt took the ticket back for ever.
-- Grain: one row a batch.
-- Repeatable: a batch that is not closed stays as it is; one that has nothing left to do is closed again by the next run.
UPDATE points_lifecycle.batch AS b
SET b.state = 'cleaning'
WHERE b.state = 'cleaned' AND EXISTS (
  SELECT 1
  FROM points_lifecycle.cleanup_ticket AS t
  WHERE t.batch_id = b.batch_id AND t.executor = 'dba' AND t.state IN ('handed_over', 'withdrawn')
)
