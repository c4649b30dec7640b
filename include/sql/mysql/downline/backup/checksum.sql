-- Purpose: the content of a table as rows, XOR and sum of a hash of every row; independent of row order. The sum
--          distinguishes pairs of equal rows, which cancel out in the XOR.
-- Grain: one row.
-- Parameters: schema, table, columns (identifiers).
-- Note: it locks what it read until the transaction ends, so that a copy and its source
--          are compared as of the same moment.
SELECT
  COUNT(*),
  COALESCE(BIT_XOR(CAST(CONV(SUBSTR(digest, 1, 16), 16, 10) AS UNSIGNED)), 0),
  COALESCE(SUM(CAST(CONV(SUBSTR(digest, 17, 12), 16, 10) AS UNSIGNED)), 0)
FROM (
  SELECT SHA2(CONCAT_WS(',', {% for column in columns %}QUOTE(`{{ column }}`){{ "" if loop.last else ", " }}{% endfor %}), 256) AS digest
  FROM `{{ schema }}`.`{{ table }}`
  LOCK IN SHARE MODE
) AS hashed
