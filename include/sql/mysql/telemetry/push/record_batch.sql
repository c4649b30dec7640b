-- Purpose: remember the published batch, in the transaction that publishes it.
-- Grain: batch.
-- Parameters: batch_id, flow, window_start, window_end, row_count, eid_sum, checksum, run_id,
--             keep_consolidated (1 when the batch's old rows were counted and cannot be taken out any more).
-- Repeatable: replaces the batch's own record.
REPLACE INTO rsp_datagovern.evidence_batch
  (batch_id, flow, window_start, window_end, state, row_count, eid_sum, checksum, run_id, published_at,
   consolidated_at)
VALUES
  (%(batch_id)s, %(flow)s, %(window_start)s, %(window_end)s, 'published', %(row_count)s, %(eid_sum)s, %(checksum)s,
   %(run_id)s, UTC_TIMESTAMP(6),
   CASE WHEN %(keep_consolidated)s THEN UTC_TIMESTAMP(6) END)
