"""What every sweep shares: how a stuck row is woken, and what a case is opened for."""
