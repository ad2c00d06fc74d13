"""What each recipient gets of a sale: terms, split, escrow, clawbacks and reconciliation."""
