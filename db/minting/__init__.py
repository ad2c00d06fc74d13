"""NFT mints: states, submissions, nonces, signers and series.

One row for each paid ticket, and at most one token on chain for it (M11). Nothing here talks to a chain:
workers/minting does, under a lease that this database keeps.
"""
