-- Purpose: the rows of given ids at one status range, each with its identity: a SHA-256 over every column but status
--          and last_modify_time (QUOTE keeps NULL and text apart). With lock, nobody else can change them until commit.
-- Grain: one row a row of the table.
-- Parameters: table, kind (point or tag), columns, lock (yes or no; identifiers), ids, lowest, highest (status); schema
--             of a backup (identifier), none for the connection's own.
SELECT
  id,
  SHA2(CONCAT_WS(',', {% for column in columns %}QUOTE(`{{ column }}`){{ "" if loop.last else ", " }}{% endfor %}), 256) AS identity,
  status,
  COALESCE(CAST(last_modify_time AS CHAR), '') AS last_modify_time,
  {{ "cluster" if kind == "point" else "''" }} AS cluster
FROM {% if schema is defined %}`{{ schema }}`.{% endif %}`{{ table }}`
WHERE id IN %(ids)s AND status BETWEEN %(lowest)s AND %(highest)s
{{ "FOR UPDATE" if lock == "yes" else "" }}
