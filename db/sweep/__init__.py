"""What the sweep looks for: rows that are stuck between two phases, and conditions that open a case."""
