"""How the fleet grows and shrinks: the policy of the manifests, and what it does under an on-sale."""
