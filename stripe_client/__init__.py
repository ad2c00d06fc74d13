"""The window to the bank: the only package that talks to Stripe."""
