"""What anybody may ask for, once: orders, refunds, mass refunds, groups, dispute evidence."""
