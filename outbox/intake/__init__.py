"""Intake: the only doors through which the outside world speaks to the fleet."""
