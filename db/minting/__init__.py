"""NFT mints: states, submissions, nonces, signers and series."""
