"""The actors: each takes one kind of message, decides, acts with one outside call, and records the result.

Where it is decided:

    what an answer of Stripe does                the `settlement.py` of its domain
    what a lost answer does                      runtime/unknown_outcomes.py
    who bears a refund or a lost dispute         rules/refund_allocation.py, asked by refunds/allocation.py
    how a sale is split, and clawed back         rules/sale_split.py, asked by shares/distribution.py
    when a share is paid                         shares/share.py, with rules/payability.py
    when a payment leaves escrow                 shares/escrow.py
    when a failed message is tried again         runtime/retries.py
    which dead letters can be replayed           dead_letters/replay_check.py, asking each domain
    what reaches the ledger and the outbox       ledger/booking.py
"""
