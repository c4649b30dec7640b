"""Parts of the two pipelines that a company may not have; the setting ``absent_parts`` switches them off.

What belongs to a part follows from here: its DAGs do not exist, nothing is checked that only it could answer, and no
alert waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Part = Literal["cloud_run", "legacy_feed", "extranet"]
PARTS: tuple[Part, ...] = get_args(Part)

#: DAGs that are nothing without their part.
DAGS: Mapping[Part, frozenset[str]] = {
    "cloud_run": frozenset({"oidc_checks", "oidc_repair"}),
    "legacy_feed": frozenset({"points_hive_daily"}),
    "extranet": frozenset(),  # its DAGs work on the intranet alone
}


def parse_parts(text: str) -> frozenset[Part]:
    """Return the parts that a text names.

    :param text: separated by commas; empty for none.
    :raises ValueError: naming what is no part.
    """
    names = {name.strip() for name in text.split(",")} - {""}
    if unknown := sorted(names - set(PARTS)):
        raise ValueError(f"{', '.join(unknown)} is no part; there are {', '.join(PARTS)}")
    return frozenset(part for part in PARTS if part in names)


def absent_dags(absent: frozenset[Part]) -> frozenset[str]:
    """Return the DAGs that do not exist where these parts are absent."""
    return frozenset(dag for part in absent for dag in DAGS[part])
