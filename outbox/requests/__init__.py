"""What may be requested, in one place for every caller: orders, refunds, mass refunds, groups, dispute evidence.

Intake, API, console, commands and workers translate into these functions. Each runs in the caller's transaction and
raises before it writes; carrying a request out is a worker's.
"""
