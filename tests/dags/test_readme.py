"""The table of all DAGs is in step with the DAGs."""

from __future__ import annotations

from local import dag_table


def test_the_table_of_dags_is_the_one_made_from_them():
    assert dag_table.PAGE.read_text() == dag_table.page(), "run `python -m local.dag_table` and commit the result"
