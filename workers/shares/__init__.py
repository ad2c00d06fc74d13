"""Each recipient's part of a sale: distribution.py splits and claws back, share.py pays, escrow.py releases."""
