"""Random years of the points lifecycle, played against the real code and held against an oracle of their own."""

import local  # noqa: F401 - puts plugins/ on the path, as Airflow does
