"""Measurements of this project against the alternative on the same work, in one run: ``make bench``."""
