"""The EVM chain: node, contract, signer, transactions."""
