"""What the HTTP services share: bearer tokens and problem details."""
