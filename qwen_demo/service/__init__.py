"""Admission, estimates, deadlines, telemetry: the only way to an engine."""
