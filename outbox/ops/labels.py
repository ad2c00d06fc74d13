"""Labels of codes: how the console and the command line show a state, a cause or a type that the database stores.

A code is shown with spaces instead of underscores; this table has those whose own words would mislead a reader.
"""

LABELS = {
    # causes of dead letters and verdicts of a failed attempt
    "tries_used_up": "retries exhausted",
    "gave_up": "not retryable",
    "give_up": "gave up",
    "try_again": "retried",
    "try_later": "retried later",
    "killed_worker": "worker crashed",
    "died": "dead-lettered",
    # classes of a replay, and items of a batch
    "must_not": "must not be replayed",
    "appended": "in progress",
    "proof": "reason",
    # requests of operators
    "asked": "requested",
    # why escrow holds a share, and what a share waits for
    "unknown_end": "event end unknown",
    "person": "held by an operator",
    "free": "due for release",
    # cases of reconciliation
    "missing_in_book": "missing in the ledger",
}


def label(code: str | None) -> str:
    """The label of a code; an empty string for None. Unknown codes are shown with spaces, so a new one needs no
    entry.
    """
    code = code or ""
    return LABELS.get(code, code.replace("_", " "))
