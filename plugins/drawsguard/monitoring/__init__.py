"""Checks on what the warehouse should look like, and the reports made of their results."""
