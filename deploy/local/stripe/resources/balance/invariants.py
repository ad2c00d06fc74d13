"""What must hold in the bank's own books, whatever was asked: sentences about what does not, and none is good.

`control.summary()` says them; with `--verify-ledger 1` they are asked inside every request that writes, and a request
that would break one is undone and answered as the emulator's own bug.
"""

from ...world import World

_TOTALS = """
SELECT account, currency, kept, summed FROM (
    SELECT t.account, t.currency, t.net AS kept,
        (SELECT COALESCE(SUM(json_extract(o.body, '$.net')), 0) FROM objects AS o
         WHERE o.account = t.account AND o.kind = 'balance_transaction'
         AND json_extract(o.body, '$.currency') = t.currency) AS summed
    FROM totals AS t)
WHERE kept <> summed
"""
_MOVEMENTS = """
SELECT t.account, t.currency, t.net, COALESCE(SUM(m.net), 0) AS summed
FROM totals AS t
LEFT JOIN movements AS m ON m.account = t.account AND m.currency = t.currency
GROUP BY t.account, t.currency, t.net
HAVING t.net <> summed
"""
# Of each transfer: what both accounts were booked for it, and for its reversals. Both sides mirror one another.
_SIDES = """
SELECT id, amount, reversed, platform, connected FROM (
    SELECT t.id,
        json_extract(t.body, '$.amount') AS amount,
        json_extract(t.body, '$.amount_reversed') AS reversed,
        (SELECT COALESCE(SUM(json_extract(b.body, '$.amount')), 0) FROM objects AS b
         WHERE b.kind = 'balance_transaction' AND (b.parent = t.id
            OR b.parent IN (SELECT r.id FROM objects AS r WHERE r.parent = t.id AND r.kind = 'transfer_reversal'))
        ) AS platform,
        (SELECT COALESCE(SUM(json_extract(b.body, '$.amount')), 0) FROM objects AS b
         WHERE b.kind = 'balance_transaction' AND (b.parent = json_extract(t.body, '$.destination_payment')
            OR b.parent IN (SELECT r.id FROM objects AS r WHERE r.kind = 'refund'
                            AND r.parent = json_extract(t.body, '$.destination_payment')))
        ) AS connected
    FROM objects AS t
    WHERE t.kind = 'transfer')
WHERE platform <> reversed - amount OR connected <> amount - reversed OR reversed > amount
"""
_SOURCES = """
SELECT c.id, json_extract(c.body, '$.amount_captured'), SUM(json_extract(t.body, '$.amount')) AS sent
FROM objects AS t
JOIN objects AS c ON c.id = t.parent AND c.account = t.account
WHERE t.kind = 'transfer'
GROUP BY c.id
HAVING sent > json_extract(c.body, '$.amount_captured')
"""
_FEES = """
SELECT f.id, json_extract(f.body, '$.amount'), json_extract(f.body, '$.amount_refunded'),
    (SELECT COALESCE(SUM(json_extract(r.body, '$.amount')), 0) FROM objects AS r
     WHERE r.parent = f.id AND r.kind = 'fee_refund') AS given_back
FROM objects AS f
WHERE f.kind = 'application_fee'
    AND (json_extract(f.body, '$.amount_refunded') <> given_back OR given_back > json_extract(f.body, '$.amount'))
"""


class LedgerBrokenError(Exception):
    """A request would leave books that do not add up."""


def verify(world: World) -> None:
    """Refuse books that do not add up.

    Raises:
        LedgerBrokenError: with all sentences of `broken`.
    """
    if errors := broken(world):
        raise LedgerBrokenError("; ".join(errors))


def broken(world: World) -> list[str]:
    """One sentence for each total, transfer, source or fee that does not add up; empty if all do."""
    rows = world.store.execute
    sentences = [
        f"{account} {currency}: the total says {kept}, the rows add up to {summed}"
        for account, currency, kept, summed in rows(_TOTALS)
    ]
    sentences += [
        f"{account} {currency}: the total says {kept}, the movements add up to {summed}"
        for account, currency, kept, summed in rows(_MOVEMENTS)
    ]
    sentences += [
        f"{name}: {amount} less {back} reversed, but the platform has {platform} and the account {connected}"
        for name, amount, back, platform, connected in rows(_SIDES)
    ]
    sentences += [f"{name}: {sent} sent on from {captured} captured" for name, captured, sent in rows(_SOURCES)]
    sentences += [
        f"{name}: a fee of {amount} says {said} refunded, its refunds add up to {given_back}"
        for name, amount, said, given_back in rows(_FEES)
    ]
    return sentences
