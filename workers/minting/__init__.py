"""The minter's work: what it looks after on the chain, and what it sends."""
