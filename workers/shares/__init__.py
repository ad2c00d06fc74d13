"""Each recipient's part of a sale: distribution, escrow, release, reconciliation."""
