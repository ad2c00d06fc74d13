"""Orders, payments, charges and purchase limits: what a buyer wants, and what Stripe has taken for it.

Money moves are written here, never made here: workers/payments calls Stripe, and books through these functions. What
goes back to a buyer is db/refunds and db/disputes; who gets the money is db/shares.
"""
