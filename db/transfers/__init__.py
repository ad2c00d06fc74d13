"""Money sent to connected accounts and taken back: transfers, reversals, destination charges, recipients."""
