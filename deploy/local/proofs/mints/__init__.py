"""Proof of minting: a node that misbehaves on purpose, and the harness that mints thousands of tickets through it."""
