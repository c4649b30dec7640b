"""Draws: windows, versions, repair and features, in plain Python."""
