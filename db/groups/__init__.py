"""Group payments: several buyers pay one order, all or nothing, by a deadline."""
