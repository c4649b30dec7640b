"""The life cycle of alerts: fired, acknowledged, resolved; damped, muted, delivered. Plain decisions over events."""
