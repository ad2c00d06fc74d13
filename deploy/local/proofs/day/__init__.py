"""A day of the marketplace in a few minutes: sales, refunds, disputes and payouts, and whether the books close."""
