"""What travels: forms in, typed parameters, errors, lists, expansion."""
