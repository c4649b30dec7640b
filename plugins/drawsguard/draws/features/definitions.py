"""The features of ``draws_14w``: one definition each, from which the MERGE statement and docs/features.md are written.

Windows are counted in periods, not in rows: a value that needs a missing draw is NULL, never a neighbour's. Every
feature of a draw depends on that draw and at most `HORIZON` periods before it, so that a refresh can recompute exactly
what a late or corrected draw touches. Means and deviations are derived from integer sums: the result does not depend on
the order in which an engine adds, and so an incremental refresh equals a full one to the last bit.

``python -m drawsguard.draws.features.definitions`` writes the generated files again after a definition was changed; a
new feature also needs a schema migration that adds its column.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from drawsguard.settings import REPOSITORY

#: How far back (periods) a feature may look. Sums 0 and 27 occur once in 1000 draws: 5000 sees them 99.3 % of the time.
HORIZON = 5000

#: Windows (draws) of the rolling statistics: 3 is what analysts have used, the longer ones show the drift.
ROLLING_WINDOWS = (3, 5, 10, 20)

SUMS = range(28)

MERGE_FILE = REPOSITORY / "include" / "sql" / "bigquery" / "features" / "merge_features.sql"
DOCS_FILE = REPOSITORY / "docs" / "features.md"

#: Columns of draws_14w that come from the draw itself: name, type, meaning.
BASE_COLUMNS = (
    ("issue", "INT64", "Period of the draw; the key of the table."),
    ("ts_utc", "TIMESTAMP", "Time of the draw; the partition column (by UTC day)."),
    ("a", "INT64", "First digit, 0–9."),
    ("b", "INT64", "Second digit, 0–9."),
    ("c", "INT64", "Third digit, 0–9."),
    ("sum", "INT64", "Sum of the digits, 0–27."),
)


@dataclass(frozen=True)
class Feature:
    """One column of draws_14w.

    :param expression: GoogleSQL over the columns of the CTE ``runs`` (see `merge_statement`).
    :param window: the periods that the value reads, for people.
    """

    name: str
    type: str
    expression: str
    window: str
    meaning: str


def _lag(k: int) -> Feature:
    return Feature(
        f"lag_{k}_sum",
        "INT64",
        f"MAX(sum) OVER (ORDER BY issue RANGE BETWEEN {k} PRECEDING AND {k} PRECEDING)",
        f"issue − {k}",
        f"Sum of the draw {k} period{'s' if k > 1 else ''} earlier; NULL when that draw is missing.",
    )


def _rolling(n: int) -> list[Feature]:
    window = f"issue − {n - 1} … issue"
    complete = f"COUNT(issue) OVER last_{n} = {n}"
    spread = f"{n} * SUM(sum * sum) OVER last_{n} - SUM(sum) OVER last_{n} * SUM(sum) OVER last_{n}"

    def feature(name: str, kind: str, expression: str, meaning: str) -> Feature:
        text = f"{meaning} of the last {n} draws, this one included; NULL unless all {n} are there."
        return Feature(f"{name}_{n}", kind, f"IF({complete}, {expression}, NULL)", window, text)

    return [
        feature("rolling_avg", "FLOAT64", f"SUM(sum) OVER last_{n} / {n}", "Mean sum"),
        feature("rolling_std", "FLOAT64", f"SQRT(({spread}) / {n * (n - 1)})", "Sample standard deviation of the sums"),
        feature("big_count", "INT64", f"SUM(is_big) OVER last_{n}", "How many big ones (sum ≥ 14)"),
        feature("odd_count", "INT64", f"SUM(is_odd) OVER last_{n}", "How many odd sums"),
    ]


def _streak(name: str, start: str, meaning: str) -> Feature:
    return Feature(
        name,
        "INT64",
        f"LEAST(issue - MAX({start}) OVER so_far + 1, @horizon)",
        "back to where the run began, at most the horizon",
        f"Length of the run of draws that are {meaning} as this one, this one included. A missing draw ends a run.",
    )


def _within_horizon(gap: str) -> str:
    """Return ``gap``, or NULL when it is NULL or beyond the horizon."""
    return f"NULLIF(LEAST({gap}, @horizon + 1), @horizon + 1)"


def _since_sum(value: int) -> Feature:
    return Feature(
        f"since_sum_{value:02d}",
        "INT64",
        _within_horizon(f"issue - MAX(IF(sum = {value}, issue, NULL)) OVER so_far"),
        "the horizon",
        f"Periods since sum {value} was last seen, 0 when this draw has it; NULL when it was not seen in the horizon.",
    )


FEATURES: tuple[Feature, ...] = (
    *[_lag(k) for k in (1, 2, 3)],
    *[feature for n in ROLLING_WINDOWS for feature in _rolling(n)],
    _streak("streak_big_small", "size_run_start", "big or small"),
    _streak("streak_odd_even", "parity_run_start", "odd or even"),
    Feature("digit_span", "INT64", "GREATEST(a, b, c) - LEAST(a, b, c)", "issue", "Largest digit minus smallest."),
    Feature(
        "digit_repeats",
        "INT64",
        "CASE WHEN a = b AND b = c THEN 2 WHEN a = b OR b = c OR a = c THEN 1 ELSE 0 END",
        "issue",
        "0: three different digits, 1: a pair, 2: three alike.",
    ),
    Feature(
        "same_sum_gap",
        "INT64",
        _within_horizon("issue - LAG(issue) OVER (PARTITION BY sum ORDER BY issue)"),
        "the horizon",
        "Periods since the same sum came before this draw; NULL when it did not in the horizon.",
    ),
    *[_since_sum(value) for value in SUMS],
)

_BASE_NAMES = tuple(name for name, _, _ in BASE_COLUMNS)
#: Every column that a refresh computes, in the order of the table; ``computed_at`` is the statement's own.
COMPUTED_COLUMNS = _BASE_NAMES + tuple(feature.name for feature in FEATURES)

_MERGE = """\
-- Generated by plugins/drawsguard/draws/features/definitions.py; change the definitions there.
-- Purpose: bring the features of changed draws into draws_14w, with those of every draw that reads them: missing rows
--   are added, other values changed, rows without a draw removed, and rows that are there twice become one.
-- Grain: one row per draw (issue).
-- Parameters: @first_issue, @last_issue (INT64) the draws that have changed lie between them, both included; @horizon
--   (INT64) how far back (periods) a feature looks: as far before them draws are read, as far after them features are
--   written; @draws_from, @draws_to, @features_from, @features_to (TIMESTAMP) hold every row of these issues in either
--   table, half open; @computed_at (TIMESTAMP) the time of the refresh, never after the engine's clock: the monitoring
--   views would not see the row until then.
-- Repeatable: a feature is a function of the draws alone, the key is the issue, and a row is touched only
--   when a value differs; the second run of the same span writes nothing.
-- After @last_issue only rows are written that were computed from the very draw that is there now. A draw that has
--   changed is thus never written without all that read it: what changes meanwhile, and what another statement has to
--   write, stays visible as a change.
MERGE `{{{{ project }}}}.{{{{ target_dataset }}}}.draws_14w` AS target
USING (
  WITH draws AS (
    SELECT
      period AS issue,
      timestamp AS ts_utc,
      numbers[SAFE_OFFSET(0)] AS a,
      numbers[SAFE_OFFSET(1)] AS b,
      numbers[SAFE_OFFSET(2)] AS c,
      sum_value AS sum
    FROM `{{{{ project }}}}.{{{{ target_dataset }}}}.draws`
    WHERE timestamp >= @draws_from AND timestamp < @draws_to
      AND period BETWEEN @first_issue - @horizon AND @last_issue + @horizon
      -- What has no three digits is no draw: it stays a change, and the refresh names it.
      AND ARRAY_LENGTH(numbers) = 3
    -- One row a period is what the sync guarantees; a MERGE must not fail on the day it does not.
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY period
      ORDER BY
        `{{{{ project }}}}.{{{{ source_dataset }}}}.draw_version`(
          updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
        ) DESC
    ) = 1
  ),
  neighbours AS (
    SELECT
      issue, ts_utc, a, b, c, sum,
      IF(sum >= 14, 1, 0) AS is_big,
      MOD(sum, 2) AS is_odd,
      LAG(issue) OVER (ORDER BY issue) = issue - 1 AS follows,
      LAG(sum) OVER (ORDER BY issue) AS previous_sum
    FROM draws
  ),
  runs AS (
    SELECT
      issue, ts_utc, a, b, c, sum, is_big, is_odd,
      IF(follows AND (previous_sum >= 14) = (sum >= 14), NULL, issue) AS size_run_start,
      IF(follows AND MOD(previous_sum, 2) = MOD(sum, 2), NULL, issue) AS parity_run_start
    FROM neighbours
  ),
  features AS (
    SELECT
      {base},
      {expressions}
    FROM runs
    WINDOW
      so_far AS (ORDER BY issue ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
      {windows}
  ),
  stored AS (
    SELECT
      issue AS stored_issue,
      COUNT(*) AS copies,
      {stored}
    FROM `{{{{ project }}}}.{{{{ target_dataset }}}}.draws_14w`
    WHERE ts_utc >= @features_from AND ts_utc < @features_to
      AND issue BETWEEN @first_issue AND @last_issue + @horizon
    GROUP BY issue
  )
  SELECT
    COALESCE(issue, stored_issue) AS issue,
    {columns},
    action
  FROM features
  FULL JOIN stored ON stored_issue = issue
  CROSS JOIN UNNEST(
    CASE
      WHEN issue IS NULL THEN ['delete']
      WHEN copies > 1 THEN ['delete', 'insert']
      ELSE ['write']
    END
  ) AS action
  WHERE COALESCE(issue, stored_issue) BETWEEN @first_issue AND @last_issue
    OR (
      issue BETWEEN @last_issue + 1 AND @last_issue + @horizon
      AND copies = 1
      AND {unchanged}
    )
) AS source
ON target.issue = source.issue
  AND source.action != 'insert'
  AND target.ts_utc >= @features_from AND target.ts_utc < @features_to
WHEN MATCHED AND source.action = 'delete' THEN DELETE
WHEN MATCHED AND (
  {differs}
) THEN UPDATE SET
  {assignments},
  computed_at = LEAST(@computed_at, CURRENT_TIMESTAMP())
WHEN NOT MATCHED AND source.action != 'delete' THEN INSERT (
  {insert_columns}
) VALUES (
  {insert_values}
)
"""


def _wrapped(items: list[str], indent: int, separator: str = ", ") -> str:
    """Join ``items`` into lines of at most 110 characters, continued at ``indent`` spaces."""
    lines, current = [], ""
    for item in items:
        candidate = f"{current}{separator}{item}" if current else item
        if len(candidate) > 110 - indent:
            lines.append(current + separator.rstrip())
            current = item
        else:
            current = candidate
    return ("\n" + " " * indent).join([*lines, current])


def merge_statement() -> str:
    """Return the MERGE template of include/sql/bigquery/features/merge_features.sql."""
    columns = list(COMPUTED_COLUMNS)
    return _MERGE.format(
        base=", ".join(_BASE_NAMES),
        expressions=",\n      ".join(f"{feature.expression} AS {feature.name}" for feature in FEATURES),
        windows=",\n      ".join(
            f"last_{n} AS (ORDER BY issue RANGE BETWEEN {n - 1} PRECEDING AND CURRENT ROW)" for n in ROLLING_WINDOWS
        ),
        stored=",\n      ".join(f"MIN({name}) AS stored_{name}" for name in _BASE_NAMES if name != "issue"),
        columns=_wrapped([name for name in columns if name != "issue"], 4),
        unchanged="\n      AND ".join(f"stored_{name} = {name}" for name in _BASE_NAMES if name != "issue"),
        differs="\n  OR ".join(f"target.{c} IS DISTINCT FROM source.{c}" for c in columns if c != "issue"),
        assignments=",\n  ".join(f"{c} = source.{c}" for c in columns if c != "issue"),
        insert_columns=_wrapped([*columns, "computed_at"], 2),
        insert_values=_wrapped([*(f"source.{c}" for c in columns), "LEAST(@computed_at, CURRENT_TIMESTAMP())"], 2),
    )


def documentation() -> str:
    """Return docs/features.md."""
    base = [f"| `{name}` | {kind} | | {meaning} |" for name, kind, meaning in BASE_COLUMNS]
    rows = [f"| `{f.name}` | {f.type} | {f.window} | {f.meaning} |" for f in FEATURES]
    expressions = [f"- `{f.name}`: `{f.expression}`" for f in FEATURES]
    return "\n".join(
        [
            "# Features of a draw (`draws_14w`)",
            "",
            "Generated from `plugins/drawsguard/draws/features/definitions.py` by",
            "`python -m drawsguard.draws.features.definitions`.",
            "",
            f"Windows are counted in periods, not in rows. The horizon is {HORIZON} periods: a feature of draw *i*",
            f"is a function of the draws *i* − {HORIZON} … *i* and of nothing else, so a new, late, corrected or lost",
            f"draw changes itself and at most the {HORIZON} draws after it. A refresh recomputes just those, and a",
            "full recompute gives the same values to the last bit.",
            "",
            "- **A hole**, a period without a draw, is never bridged. What reads it by its place (`lag_…`,",
            "  `rolling_…`, `big_count_…`, `odd_count_…`) is NULL until the draw arrives; a streak begins again after",
            "  it. `same_sum_gap` and `since_sum_…` count it as a period with an unknown sum: they tell of the draws",
            "  that are there, and change when the missing one arrives and has that sum.",
            f"- **At the horizon**: `same_sum_gap` and `since_sum_…` are {HORIZON} when the sum was last seen exactly",
            f"  {HORIZON} periods earlier, and NULL when it was seen before that only. A streak counts to {HORIZON}",
            f"  and stays there: {HORIZON} means that many or more.",
            "- **Streaks** count the draw itself, so they begin at 1.",
            "- **`same_sum_gap`** looks before the draw, so it is at least 1; **`since_sum_…`** includes the draw, so",
            "  it is 0 for the sum of the draw itself.",
            "- **Two versions of a draw** in `draws`: the one with the greater key of the SQL function",
            "  `draw_version` counts. It is the order of the sync, and total also where `updated_at` is equal.",
            "",
            "| column | type | window | meaning |",
            "|---|---|---|---|",
            *base,
            *rows,
            "| `computed_at` | TIMESTAMP | | When the row was last changed by a refresh. |",
            "",
            "## Expressions",
            "",
            "`last_n` is the window of the last n periods, `so_far` everything read up to the draw, `@horizon` the",
            "bound; `is_big` and `is_odd` are 0 or 1, the `…_run_start` columns carry the issue where a run begins.",
            "",
            *expressions,
            "",
        ]
    )


def generated_files() -> dict[Path, str]:
    """Return the text of each generated file by its path."""
    return {MERGE_FILE: merge_statement(), DOCS_FILE: documentation()}


if __name__ == "__main__":
    for path, text in generated_files().items():
        path.write_text(text)
