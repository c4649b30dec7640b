"""Measurements of this project against the alternative on the same work, in one run: ``make bench``."""

import local  # noqa: F401 - puts plugins/ on the path, as Airflow does
